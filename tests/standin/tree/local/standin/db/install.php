<?php
// The row that every page of the stand-in counts in, and a file in moodledata for pluginfile.php.
defined('MOODLE_INTERNAL') || die();

function xmldb_local_standin_install(): void {
    global $CFG, $DB;
    $DB->insert_record('local_standin_visits', ['visits' => 0]);
    $content = "Hello from moodledata\n";
    $hash = sha1($content);
    $dir = "$CFG->dataroot/filedir/" . substr($hash, 0, 2) . '/' . substr($hash, 2, 2);
    make_writable_directory($dir);
    file_put_contents("$dir/$hash", $content);
    set_config('contenthash', $hash, 'local_standin');
}
