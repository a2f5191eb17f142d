<?php
// Stand-in for admin/cli/purge_caches.php.

define('CLI_SCRIPT', true);

require(__DIR__ . '/../../config.php');
require_once("$CFG->libdir/clilib.php");

$options = standin_cli_options(['help' => false, 'muc' => false, 'courses' => false, 'theme' => false, 'lang' => false, 'js' => false,
    'filter' => false, 'other' => false], ['h' => 'help'], 2);
if ($options['help']) {
    echo "Invalidates Moodle internal caches\n";
    exit(0);
}
purge_caches($options);
exit(0);
