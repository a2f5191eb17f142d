<?php
// Stand-in for admin/cli/adhoc_task.php.

define('CLI_SCRIPT', true);

require(__DIR__ . '/../../config.php');
require_once("$CFG->libdir/clilib.php");

$options = standin_cli_options(['help' => false, 'execute' => false, 'keep-alive' => 0, 'ignorelimits' => false, 'force' => false,
    'classname' => null, 'taskslimit' => null], ['h' => 'help', 'e' => 'execute', 'k' => 'keep-alive', 'i' => 'ignorelimits',
    'f' => 'force', 'c' => 'classname', 'l' => 'taskslimit']);
if (!$options['help']) {
    if (CLI_MAINTENANCE) {
        echo "CLI maintenance mode active, cron execution suspended.\n";
        exit(1);
    }
    if (moodle_needs_upgrading()) {
        echo "Moodle upgrade pending, cron execution suspended.\n";
        exit(1);
    }
    if (!get_config('core', 'cron_enabled') && !$options['force']) {
        mtrace('Cron is disabled. Use --force to override.');
        exit(1);
    }
    \core\local\cli\shutdown::script_supports_graceful_exit();
    mtrace('Server Time: ' . date('r') . "\n");
}
if ($options['help'] || !($options['execute'] || $options['keep-alive'] || $options['classname'] || $options['taskslimit'])) {
    echo "Ad hoc cron tasks.\n";
    exit(0);
}
\core\cron::run_adhoc_tasks(time(), (int)$options['keep-alive'], !$options['ignorelimits'], null, (int)$options['taskslimit'] ?: null,
    $options['classname']);
