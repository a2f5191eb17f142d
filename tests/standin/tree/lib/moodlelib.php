<?php
// Stand-in for lib/moodlelib.php (and a few neighbours): settings, caches, maintenance, passwords.

class core_text {
    public static function strtolower(string $text): string {
        return mb_strtolower($text, 'UTF-8');
    }
}

function get_config(?string $plugin, ?string $name = null) {
    global $CFG, $DB;
    $plugin = in_array($plugin, [null, '', 'moodle', 'core'], true) ? 'core' : $plugin;
    $forced = $plugin === 'core' ? $CFG->config_php_settings : ($CFG->forced_plugin_settings[$plugin] ?? []);
    if ($name !== null && array_key_exists($name, $forced)) {
        return (string)$forced[$name];
    }
    $cache = cache::make('core', 'config');
    $result = $cache->get($plugin);
    if ($result === false) {
        $result = $plugin === 'core' ? $DB->get_records_menu('config', [], '', 'name,value')
            : $DB->get_records_menu('config_plugins', ['plugin' => $plugin], '', 'name,value');
        $cache->set($plugin, $result);
    }
    if ($name !== null) {
        return $result[$name] ?? false;
    }
    foreach ($forced as $key => $value) {
        if ($value === null || is_array($value) || is_object($value)) {
            unset($result[$key]);
        } else {
            $result[$key] = (string)$value;
        }
    }
    return (object)$result;
}

function set_config(string $name, $value, ?string $plugin = null): bool {
    global $CFG, $DB;
    if ($value === null) {
        return unset_config($name, $plugin);
    }
    $core = empty($plugin);
    $table = $core ? 'config' : 'config_plugins';
    $conditions = $core ? ['name' => $name] : ['name' => $name, 'plugin' => $plugin];
    $record = $DB->get_record($table, $conditions, 'id, value');
    if ($record === false) {
        $DB->insert_record($table, $conditions + ['value' => $value], false);
    } else if ($record->value !== $value) {
        $DB->set_field($table, 'value', $value, ['id' => $record->id]);
    }
    if ($core && !isset($CFG->config_php_settings[$name])) {
        $CFG->$name = (string)$value;
    }
    cache_helper::invalidate_by_definition('core', 'config', [], $core ? 'core' : $plugin);
    return true;
}

function unset_config(string $name, ?string $plugin = null): bool {
    global $CFG, $DB;
    if (empty($plugin)) {
        unset($CFG->$name);
        $DB->delete_records('config', ['name' => $name]);
    } else {
        $DB->delete_records('config_plugins', ['name' => $name, 'plugin' => $plugin]);
    }
    cache_helper::invalidate_by_definition('core', 'config', [], $plugin ?: 'core');
    return true;
}

function moodle_needs_upgrading(bool $checkupgradeflag = true): bool {
    global $CFG, $DB;
    if ($checkupgradeflag && !defined('CLI_UPGRADE_RUNNING')
            && !empty($DB->get_field('config', 'value', ['name' => 'outagelessupgrade']))) {
        return false;   // An upgrade without outage runs, or is about to.
    }
    return empty($CFG->version) || empty($CFG->allversionshash)
        || core_component::get_all_versions_hash() !== $CFG->allversionshash;
}

function purge_all_caches(): void {
    purge_caches();
}

function purge_caches(array $options = []): void {
    global $CFG;
    $all = ['muc', 'theme', 'lang', 'js', 'template', 'filter', 'other'];
    $chosen = array_keys(array_filter($options)) ?: $all;
    foreach ($chosen as $what) {
        if ($what === 'muc' || $what === 'lang') {
            cache_helper::purge_all();
        } else if (in_array($what, ['theme', 'js', 'template'], true)) {
            set_config("{$what}rev", max(time(), (int)($CFG->{"{$what}rev"} ?? 0) + 1));
        } else if ($what === 'other') {
            remove_dir($CFG->cachedir, true);
            make_writable_directory($CFG->cachedir);
            remove_dir($CFG->localcachedir, true);
            set_config('localcachedirpurged', time());
            make_localcache_directory();
        }
    }
    if (array_intersect(['theme', 'other'], $chosen)) {
        \core\task\manager::clear_static_caches();
    }
}

/** The local cache of every member follows the time of the last purge. */
function make_localcache_directory(): void {
    global $CFG;
    make_writable_directory($CFG->localcachedir);
    touch("$CFG->localcachedir/.lastpurged");
}

function standin_purge_localcache_if_told(): void {
    global $CFG;
    $stamp = "$CFG->localcachedir/.lastpurged";
    if (!file_exists($stamp) || filemtime($stamp) < (int)($CFG->localcachedirpurged ?? 0)) {
        remove_dir($CFG->localcachedir, true);
        make_localcache_directory();
    }
}

function enable_cli_maintenance_mode(): void {
    global $CFG;
    $file = "$CFG->dataroot/climaintenance.html";
    $template = "$CFG->dataroot/climaintenance.template.html";
    $text = get_string('sitemaintenance', 'admin');
    file_put_contents($file, file_exists($template) ? file_get_contents($template) : plain_page($text, $text));
    chmod($file, $CFG->filepermissions);
}

function hash_internal_user_password(#[SensitiveParameter] string $password, bool $fasthash = false): string {
    $salt = substr(strtr(base64_encode(random_bytes(16)), '+', '.'), 0, 16);
    return crypt($password, '$6$rounds=' . ($fasthash ? 5000 : 10000) . '$' . $salt . '$');
}

function mtrace(string $text, string $eol = "\n"): void {
    echo $text, $eol;
    flush();
}

/** Addition: count a visit in the database, the session and the cache, for pages that prove that all three work. */
function standin_counters(): array {
    global $DB;
    $DB->execute('UPDATE {local_standin_visits} SET visits = visits + 1');
    $cache = cache::make('local_standin', 'visits');
    $cache->set('visits', (int)$cache->get('visits') + 1);
    $_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
    return ['database' => $DB->get_field('local_standin_visits', 'visits', []), 'session' => $_SESSION['visits'],
        'cache' => $cache->get('visits')];
}

/** Addition: a page of the stand-in, with the three counters and the version that served it. */
function standin_page(string $title, string $body): void {
    global $CFG, $USER;
    header('Content-Type: text/html; charset=utf-8');
    header('Cache-Control: private, no-store');
    include("$CFG->dirroot/version.php");
    $counters = '';
    foreach (standin_counters() as $name => $count) {
        $counters .= "<li>$name: <b id=\"counter-$name\">$count</b></li>";
    }
    $css = "$CFG->wwwroot/theme/styles.php/boost/" . ($CFG->themerev ?? 1) . '/all';
    $user = empty($USER->id) ? 'You are not logged in.' : 'You are logged in as ' . htmlspecialchars($USER->username);
    echo "<!DOCTYPE html>\n<html><head><title>$title</title><link rel=\"stylesheet\" href=\"$css\"></head>\n<body id=\"standin\"><h1>$title</h1>\n",
        "$body\n<ul>$counters</ul>\n<p class=\"logininfo\">$user</p>\n<footer>Moodle stand-in $release, code $version, database $CFG->version, ",
        gethostname(), "</footer></body></html>\n";
}
