<?php
// For a real Moodle only: an ad-hoc task that takes as long as its custom data say. The stand-in has one built in.
namespace local_standincheck\task;

class work extends \core\task\adhoc_task {
    public function execute() {
        $data = $this->get_custom_data();
        for ($end = microtime(true) + ($data->ms ?? 0) / 1000; microtime(true) < $end;) {
            usleep(50000);
        }
    }
}
