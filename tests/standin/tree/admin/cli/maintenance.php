<?php
// Stand-in for admin/cli/maintenance.php.

define('CLI_SCRIPT', true);

require(__DIR__ . '/../../config.php');
require_once("$CFG->libdir/clilib.php");

$options = standin_cli_options(['enable' => false, 'enablelater' => 0, 'enableold' => false, 'disable' => false, 'help' => false],
    ['h' => 'help']);
$file = "$CFG->dataroot/climaintenance.html";
if ($options['help']) {
    echo "Maintenance mode settings (stand-in).\n";
    die;
}
cli_heading("Maintenance mode ($CFG->wwwroot)");
if ($options['enablelater']) {
    if (file_exists($file)) {
        echo get_string('clistatusenabled', 'admin') . "\n";
        return 1;   // The exit status stays 0, as in Moodle.
    }
    $time = time() + $options['enablelater'] * 60;
    set_config('maintenance_later', $time);
    echo get_string('clistatusenabledlater', 'admin', date('l, j F Y, g:i A', $time)) . "\n";
} else if ($options['enable']) {
    file_exists($file) || enable_cli_maintenance_mode();
    set_config('maintenance_enabled', 0);
    unset_config('maintenance_later');
    echo get_string('sitemaintenanceoncli', 'admin') . "\n";
} else if ($options['enableold']) {
    set_config('maintenance_enabled', 1);
    unset_config('maintenance_later');
    echo get_string('sitemaintenanceon', 'admin') . "\n";
} else if ($options['disable']) {
    set_config('maintenance_enabled', 0);
    unset_config('maintenance_later');
    file_exists($file) && unlink($file);
    echo get_string('sitemaintenanceoff', 'admin') . "\n";
} else if (!empty($CFG->maintenance_enabled) || file_exists($file)) {
    echo get_string('clistatusenabled', 'admin') . "\n";
} else if (isset($CFG->maintenance_later)) {
    echo get_string('clistatusenabledlater', 'admin', date('l, j F Y, g:i A', (int)$CFG->maintenance_later)) . "\n";
} else {
    echo get_string('clistatusdisabled', 'admin') . "\n";
}
