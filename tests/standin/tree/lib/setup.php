<?php
// Stand-in for lib/setup.php: what every script runs, in Moodle's order.

global $CFG, $DB, $USER, $SESSION;

if (!isset($CFG)) {
    exit(1);
}
$CFG->dirroot = dirname(__DIR__);
$CFG->directorypermissions = $CFG->directorypermissions ?? 02777;
$CFG->filepermissions = $CFG->filepermissions ?? ($CFG->directorypermissions & 0666);
umask(($CFG->directorypermissions & 0777) ^ 0777);

function setup_fatal(string $text): void {
    if (isset($_SERVER['REMOTE_ADDR'])) {
        header($_SERVER['SERVER_PROTOCOL'] . ' 500 Internal Server Error ');
    }
    echo "Fatal error: $text! Exiting.\n";
    exit(1);
}

if (!isset($CFG->dataroot)) {
    setup_fatal('$CFG->dataroot is not specified in config.php');
}
$CFG->dataroot = realpath($CFG->dataroot);
if ($CFG->dataroot === false) {
    setup_fatal('$CFG->dataroot is not configured properly, directory does not exist or is not accessible');
}
if (!is_writable($CFG->dataroot)) {
    setup_fatal('$CFG->dataroot is not writable, admin has to fix directory permissions');
}
if (!isset($CFG->wwwroot)) {
    setup_fatal('$CFG->wwwroot is not configured');
}

$CFG->libdir = "$CFG->dirroot/lib";
foreach (['prefix' => '', 'admin' => 'admin', 'tempdir' => "$CFG->dataroot/temp", 'cachedir' => "$CFG->dataroot/cache",
        'localcachedir' => "$CFG->dataroot/localcache", 'localrequestdir' => sys_get_temp_dir() . '/requestdir'] as $name => $default) {
    $CFG->$name = $CFG->$name ?? $default;
}
$CFG->backuptempdir = $CFG->backuptempdir ?? "$CFG->tempdir/backup";

if (!isset($_SERVER['REMOTE_ADDR']) && isset($_SERVER['argv'][0]) && !defined('ABORT_AFTER_CONFIG')) {
    chdir(dirname($_SERVER['argv'][0]));
}
ini_set('precision', 14);
ini_set('serialize_precision', -1);

foreach (['CACHE_DISABLE_ALL', 'CACHE_DISABLE_STORES', 'CLI_SCRIPT', 'AJAX_SCRIPT', 'PHPUNIT_TEST', 'NO_MOODLE_COOKIES',
        'NO_DEBUG_DISPLAY'] as $name) {
    defined($name) || define($name, false);
}
defined('MOODLE_INTERNAL') || define('MOODLE_INTERNAL', true);

if (isset($_SERVER['REMOTE_ADDR'])) {
    if (CLI_SCRIPT) {
        echo('Command line scripts can not be executed from the web interface');
        exit(1);
    }
} else if (!CLI_SCRIPT) {
    echo('Command line scripts must define CLI_SCRIPT before requiring config.php' . "\n");
    exit(1);
}

// CLI maintenance: before the database, for every web entry point.
if (file_exists("$CFG->dataroot/climaintenance.html")) {
    if (!CLI_SCRIPT) {
        header($_SERVER['SERVER_PROTOCOL'] . ' 503 Moodle under maintenance');
        header('Status: 503 Moodle under maintenance');
        header('Retry-After: 300');
        header('Content-type: text/html; charset=utf-8');
        header('X-UA-Compatible: IE=edge');
        header('Cache-Control: no-store, no-cache, must-revalidate');
        header('Cache-Control: post-check=0, pre-check=0', false);
        header('Pragma: no-cache');
        header('Expires: Mon, 20 Aug 1969 09:23:00 GMT');
        header('Last-Modified: ' . gmdate('D, d M Y H:i:s') . ' GMT');
        header('Accept-Ranges: none');
        readfile("$CFG->dataroot/climaintenance.html");
        die;
    }
    defined('CLI_MAINTENANCE') || define('CLI_MAINTENANCE', true);
}
defined('CLI_MAINTENANCE') || define('CLI_MAINTENANCE', false);

if (!isset($CFG->config_php_settings)) {
    $CFG->config_php_settings = (array)$CFG;
    unset($CFG->config_php_settings['forced_plugin_settings']);
}
$CFG->forced_plugin_settings = $CFG->forced_plugin_settings ?? [];
$CFG->debug = (int)($CFG->debug ?? 0);
$CFG->debugdeveloper = ($CFG->debug & 32767) === 32767;

require_once("$CFG->libdir/classes/component.php");
\core\component::register_autoloader();

// Scripts that need neither libraries nor the database stop here.
if (defined('ABORT_AFTER_CONFIG') && !defined('ABORT_AFTER_CONFIG_CANCEL')) {
    error_reporting($CFG->debug);
    ini_set('display_errors', empty($CFG->debugdisplay) ? '0' : '1');
    ini_set('log_errors', '1');
    return;
}

require_once("$CFG->libdir/setuplib.php");
require_once("$CFG->libdir/moodlelib.php");
require_once("$CFG->libdir/dmllib.php");
set_exception_handler('default_exception_handler');
error_reporting(E_ALL);     // Until the settings are read.

$DB = moodle_database::connect_from_config($CFG);
initialise_cfg();
core_shutdown_manager::initialize();

// Nobody enters while an upgrade runs; the row's value is the moment until which that holds.
if (!defined('NO_UPGRADE_CHECK') && isset($CFG->upgraderunning)) {
    if ($CFG->upgraderunning < time()) {
        unset_config('upgraderunning');
    } else {
        throw new moodle_exception('upgraderunning');
    }
}

initialise_fullme();
standin_purge_localcache_if_told();
if (!CLI_SCRIPT && !NO_MOODLE_COOKIES) {
    \core\session\manager::start();
}
define('SETUP_COMPLETE', true);   // Later exceptions are "not found", earlier ones "server error".

// A planned maintenance begins with the first request after its time, the command line's too.
if (isset($CFG->maintenance_later) && $CFG->maintenance_later <= time()) {
    if (!file_exists("$CFG->dataroot/climaintenance.html")) {
        enable_cli_maintenance_mode();
    }
    unset_config('maintenance_later');
    if (AJAX_SCRIPT) {
        die;
    } else if (!CLI_SCRIPT) {
        redirect("$CFG->wwwroot/");
    }
}
