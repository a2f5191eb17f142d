<?php
// Stand-in for admin/cli/install_database.php: a new site in an empty database.

define('CLI_SCRIPT', true);
define('CACHE_DISABLE_ALL', true);

$configfile = __DIR__ . '/../../config.php';
if (!file_exists($configfile)) {
    fwrite(STDERR, "config.php does not exist, can not continue\n");
    exit(1);
}
require($configfile);
require_once("$CFG->libdir/clilib.php");
require_once("$CFG->libdir/upgradelib.php");

$options = standin_cli_options(['lang' => 'en', 'adminuser' => 'admin', 'adminpass' => '', 'adminemail' => '', 'fullname' => '',
    'shortname' => '', 'summary' => '', 'supportemail' => '', 'agree-license' => false, 'help' => false], ['h' => 'help']);
if ($options['help']) {
    echo "Advanced command line Moodle database installer (stand-in).\n";
    die;
}
if ($DB->get_tables()) {
    cli_error(get_string('clitablesexist', 'install'));
}
if (!$options['agree-license']) {
    cli_error('You have to agree to the license. --help prints out the help');
}
if ($options['adminpass'] === true || $options['adminpass'] === '') {
    cli_error('You have to specify admin password. --help prints out the help');
}
foreach (['adminemail', 'supportemail'] as $name) {
    if (!empty($options[$name]) && !filter_var($options[$name], FILTER_VALIDATE_EMAIL)) {
        cli_error(get_string('cliincorrectvalueerror', 'admin', (object)['option' => $name, 'value' => $options[$name]]));
    }
}
$CFG->lang = 'en';
upgrade_environment_check();
install_cli_database($options);
upgrade_themes();
echo get_string('cliinstallfinished', 'install') . "\n";
exit(0);
