<?php
// Stand-in for lib/upgradelib.php and lib/installlib.php: what an install and an upgrade do, in Moodle's order.

function upgrade_environment_check(): void {
    if ((int)ini_get('max_input_vars') >= 5000) {
        return;
    }
    cli_heading('Environment');
    echo "!! max_input_vars !!\nPHP setting max_input_vars must be at least 5000.\n\n";
    exit(1);
}

/** From here on nobody enters; SIGTERM, SIGINT and an exception remove the row again, SIGKILL does not. */
function upgrade_started(): void {
    static $started = false;
    if ($started) {
        upgrade_set_timeout(120);
        return;
    }
    core_shutdown_manager::register_function('upgrade_finished');
    if (!defined('CLI_UPGRADE_RUNNING')) {
        set_config('upgraderunning', time() + 300);
    }
    $started = true;
}

function upgrade_set_timeout(int $seconds = 300): void {
    global $CFG;
    $end = time() + max(60, $seconds);
    if (!defined('CLI_UPGRADE_RUNNING') && abs($end - (int)($CFG->upgraderunning ?? 0)) >= 10) {
        set_config('upgraderunning', $end);
    }
}

function upgrade_finished(): void {
    global $CFG;
    if (!empty($CFG->upgraderunning)) {
        unset_config('upgraderunning');
        cache_helper::purge_all(true);
    }
}

function upgrade_log(?string $plugin, string $info): void {
    global $DB;
    $DB->insert_record('upgrade_log', ['plugin' => $plugin, 'info' => $info, 'timemodified' => time()], false);
}

function upgrade_handle_exception(Throwable $ex): void {
    global $CFG;
    try {
        upgrade_log(null, 'Exception: ' . get_class($ex));
    } catch (dml_exception $e) {
        error_log('Could not write to the upgrade log.');    // No tables yet.
    }
    $CFG->debug = 32767;
    default_exception_handler($ex);
}

function upgrade_part(string $heading, callable $work): void {
    $before = microtime(true);
    echo CLI_SCRIPT ? "-->$heading\n" : "<h2>$heading</h2>\n";
    $work();
    $text = sprintf('Success (%.2f seconds)', microtime(true) - $before);
    echo CLI_SCRIPT ? "++ $text ++\n" : "<p>$text</p>\n";
    flush();
}

function upgrade_main_savepoint(bool $result, $version): void {
    global $CFG;
    if ((float)$CFG->version >= (float)$version) {
        throw new moodle_exception('cannotdowngrade', 'debug', '',
            (object)['plugin' => 'moodle', 'oldversion' => $CFG->version, 'newversion' => $version]);
    }
    set_config('version', $version);
    upgrade_log(null, 'Upgrade savepoint reached');
    upgrade_set_timeout();
    standin_step("savepoint_$version");
}

function upgrade_plugin_savepoint(bool $result, $version, string $type, string $plugin): void {
    set_config('version', $version, "{$type}_$plugin");
    upgrade_log("{$type}_$plugin", 'Upgrade savepoint reached');
    upgrade_set_timeout();
    standin_step("savepoint_{$type}_{$plugin}_$version");
}

function upgrade_mod_savepoint(bool $result, $version, string $plugin): void {
    upgrade_plugin_savepoint($result, $version, 'mod', $plugin);
}

/** Core tables and first rows. The directories are emptied before anything is known about other installers. */
function install_core($version): void {
    global $CFG, $DB;
    foreach ([$CFG->cachedir, $CFG->localcachedir, $CFG->tempdir, $CFG->backuptempdir, "$CFG->dataroot/muc"] as $dir) {
        remove_dir($dir, true);
        make_writable_directory($dir);
    }
    make_localcache_directory();
    try {
        upgrade_part('System', function () use ($version) {
            global $CFG, $DB;
            standin_step('core_ddl');
            $DB->get_manager()->install_from_xmldb_file("$CFG->libdir/db/install.xml");
            upgrade_started();
            standin_step('core_defaults');
            require_once("$CFG->libdir/db/install.php");
            xmldb_main_install();
            standin_step('core_version');
            upgrade_main_savepoint(true, $version);
            xmldb_default_settings();
            upgrade_log(null, 'Core installed');
        });
    } catch (Throwable $ex) {
        upgrade_handle_exception($ex);
    }
}

function upgrade_core($version): void {
    global $CFG;
    require_once("$CFG->libdir/db/upgrade.php");
    try {
        if (!defined('CLI_UPGRADE_RUNNING')) {
            cache_helper::purge_all(true);
            purge_all_caches();
        }
        upgrade_part('System', function () use ($version) {
            global $CFG;
            upgrade_started();
            upgrade_log(null, 'Starting core upgrade');
            standin_step('core_upgrade');
            xmldb_main_upgrade((float)$CFG->version);
            if ($version > (float)$CFG->version) {
                upgrade_main_savepoint(true, $version);
            }
            cache_helper::update_definitions(true);
            if (!defined('CLI_UPGRADE_RUNNING')) {
                cache_helper::purge_all(true);
                purge_all_caches();
            }
            upgrade_log(null, 'Core upgraded');
        });
    } catch (Throwable $ex) {
        upgrade_handle_exception($ex);
    }
}

/** Install or upgrade one plugin, whose database version may be behind, missing or (an error) ahead. */
function upgrade_one_plugin(string $component, string $dir): void {
    global $DB;
    [$type, $name] = explode('_', $component, 2);
    $version = core_component::plugin_version($dir);
    $installed = $DB->get_field('config_plugins', 'value', ['name' => 'version', 'plugin' => $component]);
    if (empty($installed)) {
        upgrade_part($component, function () use ($component, $dir, $type, $name, $version) {
            global $DB;
            upgrade_started();
            upgrade_log($component, 'Starting plugin installation');
            standin_step($component);
            is_file("$dir/db/install.xml") && $DB->get_manager()->install_from_xmldb_file("$dir/db/install.xml");
            upgrade_plugin_savepoint(true, $version, $type, $name);
            if (is_file("$dir/db/install.php")) {
                require_once("$dir/db/install.php");
                ("xmldb_{$component}_install")();
            }
            upgrade_log($component, 'Plugin installed');
        });
    } else if ($installed < $version) {
        upgrade_part($component, function () use ($component, $dir, $type, $name, $version, $installed) {
            global $DB;
            upgrade_started();
            upgrade_log($component, 'Starting plugin upgrade');
            standin_step($component);
            if (is_file("$dir/db/upgrade.php")) {
                require_once("$dir/db/upgrade.php");
                ('xmldb_' . ($type === 'mod' ? $name : $component) . '_upgrade')((float)$installed);
            }
            if ($DB->get_field('config_plugins', 'value', ['name' => 'version', 'plugin' => $component]) < $version) {
                upgrade_plugin_savepoint(true, $version, $type, $name);
            }
            upgrade_log($component, 'Plugin upgraded');
        });
    } else if ($installed > $version) {
        throw new moodle_exception('cannotdowngrade', 'debug', '',
            (object)['plugin' => $component, 'oldversion' => $installed, 'newversion' => $version]);
    }
}

function upgrade_noncore(): void {
    global $CFG;
    try {
        if (!defined('CLI_UPGRADE_RUNNING')) {
            cache_helper::purge_all(true);
            purge_all_caches();
        }
        upgrade_started();
        foreach (core_component::all_plugins() as $component => $dir) {
            upgrade_one_plugin($component, $dir);
        }
        standin_step('hashes');
        cache_helper::update_definitions();
        set_config('allversionshash', core_component::get_all_versions_hash());
        set_config('allcomponenthash', core_component::get_all_component_hash());
        set_config('registrationpending', true);
        if (!defined('CLI_UPGRADE_RUNNING')) {
            cache_helper::purge_all(true);
            purge_all_caches();
        }
    } catch (Throwable $ex) {
        upgrade_handle_exception($ex);
    }
}

/** The theme's CSS is built at the end, so that the first visitor does not wait for it. */
function upgrade_themes(): void {
    global $CFG, $DB;
    standin_step('theme');
    $dir = "$CFG->localcachedir/theme/" . ($CFG->themerev ?? 1) . '/boost/css';
    make_writable_directory($dir);
    copy("$CFG->dirroot/theme/boost/style/moodle.css", "$dir/all.css");
    $class = '\core\task\build_installed_themes_task';
    if (!$DB->record_exists('task_adhoc', ['classname' => $class])) {
        $DB->insert_record('task_adhoc', ['component' => '', 'classname' => $class, 'nextruntime' => time() - 1, 'faildelay' => 0,
            'customdata' => '', 'timecreated' => time(), 'attemptsavailable' => 12], false);
    }
}

function install_cli_database(array $options): void {
    global $CFG, $DB;
    $CFG->debug = 32767;
    $CFG->debugdeveloper = true;
    $CFG->version = $CFG->release = $CFG->branch = '';
    require("$CFG->dirroot/version.php");
    cli_separator();
    cli_heading('Setting up database');
    install_core($version);
    set_config('release', $release);
    set_config('branch', $branch);
    standin_step('release');
    upgrade_noncore();
    upgrade_part('upgrade_noncore()', fn() => null);
    standin_step('admin');
    $DB->set_field('user', 'password', hash_internal_user_password($options['adminpass']), ['username' => 'admin']);
    $DB->set_field('user', 'email', $options['adminemail'], ['username' => 'admin']);
    if (!in_array($options['adminuser'], ['admin', 'guest'], true)) {
        $DB->set_field('user', 'username', $options['adminuser'], ['username' => 'admin']);
    }
    if ($support = $options['supportemail'] ?: $options['adminemail']) {
        set_config('supportemail', $support);
    }
    set_config('rolesactive', 1);
    standin_step('rolesactive');
    upgrade_finished();
    standin_step('settings');
    set_config('registerauth', '');
    foreach (['shortname', 'fullname', 'summary'] as $field) {
        if ($field === 'summary' || $options[$field] !== '') {
            $DB->set_field('course', $field, $options[$field], ['format' => 'site']);
        }
    }
    set_config('registrationpending', 1);
}
