<?php
/* Run once by PID 1 as the web user, when the database is current and before the site opens: stores and mappings are as rendered, the
 * definitions of all plugins are known, and the configuration file holds them, so that first requests do not race to write it.
 * Prints one JSON line. Works with Moodle 4.2 to 4.5. */
define('CLI_SCRIPT', true);
define('NO_UPGRADE_CHECK', true);
require __DIR__ . '/config.php';

$begin = microtime(true);
if (file_exists("$CFG->dirroot/cache/locallib.php")) { // until 4.4
    require_once("$CFG->dirroot/cache/locallib.php");
}
$class = class_exists('\core_cache\config_writer') ? '\core_cache\config_writer' : '\cache_config_writer';
$want = (require __DIR__ . '/muc-stores.php')();
$writer = $class::instance();
$changes = [];

$have = $writer->get_all_stores();
foreach ($want['stores'] as $name => $store) {
    if ($store['default']) {
        continue; // Moodle makes these itself
    }
    if (!isset($have[$name])) {
        $writer->add_store_instance($name, $store['plugin'], $store['configuration']);
        $changes[] = "added $name";
    } else if ($have[$name]['configuration'] != $store['configuration']) {
        $writer->edit_store_instance($name, $store['plugin'], $store['configuration']);
        $changes[] = "changed $name";
    }
}

$modes = $now = [];
foreach ($want['modemappings'] as $mapping) {
    $modes[$mapping['mode']][] = $mapping['store'];
}
foreach ($writer->get_mode_mappings() as $mapping) {
    $now[$mapping['mode']][] = $mapping['store'];
}
ksort($modes);
ksort($now);
if ($modes !== $now) {
    $writer->set_mode_mappings($modes);
    $changes[] = 'mapped modes';
}

$before = count($writer->get_definitions());
class_exists('\core_cache\helper') ? \core_cache\helper::update_definitions() : cache_helper::update_definitions();
$definitions = count($class::instance()->get_definitions());

// Redis refused means that Moodle quietly uses files on the shared disk instead: say so while somebody listens.
$missing = [];
foreach ($want['stores'] as $name => $store) {
    if ($store['plugin'] === 'redis') {
        require_once("$CFG->dirroot/cache/stores/redis/lib.php");
        (new cachestore_redis($name, $store['configuration']))->is_ready() || $missing[] = $name;
    }
}

echo json_encode(['msg' => $missing ? 'cache stores do not answer' : 'caches are prepared', 'definitions' => $definitions,
    'definitions_before' => $before, 'changes' => $changes, 'missing' => $missing,
    'ms' => (int)round((microtime(true) - $begin) * 1000)], JSON_UNESCAPED_SLASHES), "\n";
exit($missing ? 1 : 0);
