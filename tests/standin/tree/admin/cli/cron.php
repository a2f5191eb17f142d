<?php
// Stand-in for admin/cli/cron.php.

define('CLI_SCRIPT', true);

require(__DIR__ . '/../../config.php');
require_once("$CFG->libdir/clilib.php");

$options = standin_cli_options(['help' => false, 'stop' => false, 'list' => false, 'force' => false, 'enable' => false, 'disable' => false,
    'disable-wait' => false, 'keep-alive' => null], ['h' => 'help', 's' => 'stop', 'l' => 'list', 'f' => 'force', 'e' => 'enable',
    'd' => 'disable', 'w' => 'disable-wait', 'k' => 'keep-alive']);
if ($options['help']) {
    echo "Execute periodic cron actions (stand-in).\n";
    die;
}
if ($options['stop']) {
    \core\task\manager::clear_static_caches();
    die;
}
if ($options['enable']) {
    set_config('cron_enabled', 1);
    mtrace('Cron has been enabled for the site.');
    exit(0);
}
if ($options['disable'] || $options['disable-wait']) {
    set_config('cron_enabled', 0);
    \core\task\manager::clear_static_caches();
    mtrace('Cron has been disabled for the site.');
}
if ($options['disable']) {
    exit(0);
}
if ($options['list']) {
    mtrace('The list of currently running tasks:');
    printf("%7s %-12s %-9s %-20s %-52s\n", 'PID', 'HOST', 'TYPE', 'TIME', 'CLASSNAME');
    foreach (\core\task\manager::get_running_tasks() as $task) {
        printf("%7s %-12s %-9s %-20s %-52s\n", $task->pid, substr($task->hostname, 0, 12), $task->type,
            time() - $task->timestarted . ' secs', substr($task->classname, 0, 52));
    }
    exit(0);
}
if ($wait = $options['disable-wait']) {
    $seconds = $wait === true ? 600 : (int)$wait;
    mtrace("Allocating $seconds secs for the tasks to finish.");
    for ($end = time() + $seconds; $tasks = \core\task\manager::get_running_tasks(); sleep(1)) {
        if (time() >= $end) {
            mtrace("\nWait time ($seconds secs) elapsed, but " . count($tasks) . " task(s) still running.\nExiting with code 1.");
            exit(1);
        }
    }
    mtrace("\nAll scheduled and adhoc tasks finished.");
    exit(0);
}
if (!get_config('core', 'cron_enabled') && !$options['force']) {
    mtrace('Cron is disabled. Use --force to override.');
    exit(1);
}
\core\local\cli\shutdown::script_supports_graceful_exit();
\core\cron::run_main_process($options['keep-alive'] === null ? null : (int)$options['keep-alive']);
