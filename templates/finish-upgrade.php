<?php
/* What admin/cli/upgrade.php does after it has written the plugin hash: for an upgrade that was killed between the two. To run
 * upgrade.php again would only say that no upgrade is needed. Also throws away a cached copy of the row `upgraderunning`, which
 * would keep pages and scripts out although the row is gone. Argument: the code directory. */
define('CLI_SCRIPT', true);
define('NO_UPGRADE_CHECK', true);
define('CACHE_DISABLE_ALL', true);
require($argv[1] . '/config.php');
foreach (['adminlib', 'upgradelib', 'clilib'] as $lib) {
    if (file_exists("$CFG->libdir/$lib.php")) {
        require_once("$CFG->libdir/$lib.php");
    }
}
if (class_exists('\core\session\manager') && function_exists('get_admin')) {
    \core\session\manager::set_user(get_admin());
}
if (function_exists('admin_apply_default_settings')) {
    admin_apply_default_settings(null, false);
}
if (class_exists('cache_helper')) {
    cache_helper::purge_all(true);
}
purge_all_caches();
if (function_exists('upgrade_themes')) {
    upgrade_themes();
}
exit(0);
