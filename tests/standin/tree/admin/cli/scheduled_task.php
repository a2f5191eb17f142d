<?php
// Stand-in for admin/cli/scheduled_task.php.

define('CLI_SCRIPT', true);

require(__DIR__ . '/../../config.php');
require_once("$CFG->libdir/clilib.php");

$options = standin_cli_options(['help' => false, 'list' => false, 'execute' => false, 'force' => false, 'disable' => false,
    'enable' => false], ['h' => 'help', 'f' => 'force']);
if ($options['list']) {
    cli_heading("List of scheduled tasks ($CFG->wwwroot)");
    foreach ($DB->get_records('task_scheduled') as $task) {
        echo str_pad($task->classname, 50) . ' ' . ($task->disabled ? 'Disabled' : $task->nextruntime) . "\n";
    }
    exit(0);
}
$name = $options['execute'] ?: $options['disable'] ?: $options['enable'];
if ($options['help'] || !$name) {
    echo "Scheduled cron tasks.\n";
    die;
}
if (moodle_needs_upgrading()) {
    mtrace('Moodle upgrade pending, cannot manage tasks.');
    exit(1);
}
if (!$record = $DB->get_record('task_scheduled', ['classname' => '\\' . ltrim($name, '\\')])) {
    mtrace("Task '$name' not found");
    exit(1);
}
if (!$options['execute']) {
    $DB->set_field('task_scheduled', 'disabled', $options['disable'] ? 1 : 0, ['id' => $record->id]);
    mtrace(($options['disable'] ? 'Disabled' : 'Enabled') . " '$name'");
    exit(0);
}
if (!get_config('core', 'cron_enabled') && !$options['force']) {
    mtrace('Cron is disabled. Use --force to override.');
    exit(1);
}
\core\local\cli\shutdown::script_supports_graceful_exit();
$factory = \core\lock\lock_config::get_lock_factory('cron');
if (!$cronlock = $factory->get_lock('core_cron', 10)) {
    mtrace('Cannot obtain cron lock');
    exit(129);
}
$lock = $factory->get_lock($record->classname, 10);
$cronlock->release();
if (!$lock) {
    mtrace('Cannot obtain task lock');
    exit(130);
}
\core\cron::run_inner_task(new \core\task\standin_task('task_scheduled', $record, $lock));
