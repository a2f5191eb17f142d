<?php
// Takes locks with a real Moodle's own classes, in a database without its tables: moodle-locks.php TREE MOODLE.JSON. "held" when it has them; a
// line on standard input, or its end, lets them go; "freed" when all could be. Of the lock factory of cron's tasks, and of sessions.
define('MOODLE_INTERNAL', true);
define('CLI_SCRIPT', true);
define('NO_DEBUG_DISPLAY', false);
define('CACHE_DISABLE_ALL', true);
define('IGNORE_COMPONENT_CACHE', true);
define('PHPUNIT_TEST', false);

[, $tree, $json] = $argv;
$d = json_decode(file_get_contents($json), true)['db'];
global $CFG, $DB;
$CFG = (object)['dirroot' => $tree, 'libdir' => "$tree/lib", 'admin' => 'admin', 'dataroot' => dirname($json), 'cachedir' => dirname($json) . '/locks',
    'umaskpermissions' => 0022, 'directorypermissions' => 02770, 'debug' => 0, 'debugdeveloper' => false, 'debugdisplay' => 0, 'lang' => 'en', 'dbname' => $d['name'], 'prefix' => $d['prefix'], 'dbsessions' => true];
require_once("$CFG->libdir/classes/component.php");
spl_autoload_register([class_exists('\core\component', false) ? '\core\component' : 'core_component', 'classloader']);
require_once("$CFG->libdir/setuplib.php");
require_once("$CFG->libdir/moodlelib.php");
require_once("$CFG->libdir/dmllib.php");

$DB = moodle_database::get_driver_instance($d['type'], 'native');
$DB->connect($d['host'], $d['user'], $d['password'], $d['name'], $d['prefix'], ['dbport' => $d['port'], 'dbpersist' => false]);
$class = $d['type'] === 'pgsql' ? '\core\lock\postgres_lock_factory' : '\core\lock\mysql_lock_factory';
$factory = new $class('cron');
$held = [];
for ($i = 0; $i < 200; $i++) {
    $lock = $factory->get_lock($i ? "moodlectl_test_$i" : 'core_cron', 5) or exit("the lock factory did not get lock $i\n");
    $held[] = $lock;
}
for ($id = 1; $id <= 20; $id++) {
    $DB->get_session_lock($id, 1);
}
fwrite(STDOUT, "held\n"); // PHP may buffer what is echoed
fgets(STDIN);
foreach ($held as $i => $lock) {
    $lock->release() or exit("lock $i was not ours\n");
}
for ($id = 1; $id <= 20; $id++) {
    $DB->release_session_lock($id);
}
fwrite(STDOUT, "freed\n");
