<?php
/* php code-info.php DIRROOT: what the code in DIRROOT is, without a database: one JSON line. "hash" is Moodle's own
 * $CFG->allversionshash for this set of plugins (lib/classes/component.php, get_all_versions_hash). */
define('CLI_SCRIPT', 1);
define('CACHE_DISABLE_ALL', true);
define('IGNORE_COMPONENT_CACHE', true);
define('PHPUNIT_TEST', false);
define('MOODLE_INTERNAL', 1);
error_reporting(E_ALL & ~E_DEPRECATED);
ini_set('display_errors', 'stderr');

$CFG = new stdClass();
$CFG->dirroot = $argv[1];
$CFG->libdir = "$CFG->dirroot/lib";
$CFG->admin = 'admin';
$CFG->dataroot = $CFG->cachedir = '/nonexistent';
require "$CFG->libdir/classes/component.php"; // first: it defines the words of version.php
require "$CFG->dirroot/version.php";
$class = class_exists('\core\component', false) ? '\core\component' : 'core_component';
echo json_encode([
    'dirroot' => $CFG->dirroot,
    'version' => (string)$version,
    'release' => (string)$release,
    'branch' => (string)$branch,
    'hash' => $class::get_all_versions_hash(),
], JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR), "\n";
