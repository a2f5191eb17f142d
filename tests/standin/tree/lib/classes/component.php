<?php
// Stand-in for lib/classes/component.php: which plugins are there, and the two hashes of the code.
// It needs no database and no moodledata: build scripts load this file alone.

namespace core;

if (!defined('MATURITY_STABLE')) {
    define('MATURITY_ALPHA', 50);
    define('MATURITY_BETA', 100);
    define('MATURITY_RC', 150);
    define('MATURITY_STABLE', 200);
}

class component {
    /** Plugin types in the real order (lib/components.json), as folders below dirroot. */
    private const TYPES = ['mod' => 'mod', 'auth' => 'auth', 'enrol' => 'enrol', 'tool' => 'admin/tool',
        'theme' => 'theme', 'local' => 'local'];

    /** Classes and the files that hold them; the real tree has one file per class. */
    private const CLASSES = [
        'core\cron' => 'lib/classes/cron.php', 'core\task\manager' => 'lib/classes/cron.php',
        'core\local\cli\shutdown' => 'lib/classes/cron.php', 'core\lock\lock_config' => 'lib/classes/cron.php',
        'core\session\manager' => 'lib/classes/session.php', 'core\session\redis' => 'lib/classes/session.php',
        'core\session\file' => 'lib/classes/session.php',
        'core_cache\config' => 'cache/classes/cache.php', 'core_cache\config_writer' => 'cache/classes/cache.php',
        'core_cache\cache' => 'cache/classes/cache.php', 'core_cache\helper' => 'cache/classes/cache.php',
        'cache' => 'cache/classes/cache.php', 'cache_helper' => 'cache/classes/cache.php',
    ];

    public static function register_autoloader(): void {
        spl_autoload_register(function (string $class): void {
            global $CFG;
            if (isset(self::CLASSES[$class])) {
                require_once("$CFG->dirroot/" . self::CLASSES[$class]);
            }
        });
    }

    public static function get_plugin_types(): array {
        global $CFG;
        return array_map(fn($dir) => "$CFG->dirroot/$dir", self::TYPES);
    }

    /** Plugin name => full path, sorted by name. */
    public static function get_plugin_list(string $type): array {
        $list = [];
        foreach (glob(self::get_plugin_types()[$type] . '/*/version.php') as $file) {
            $list[basename(dirname($file))] = dirname($file);
        }
        ksort($list);
        return $list;
    }

    public static function get_plugin_list_with_file(string $type, string $file): array {
        $list = array_map(fn($dir) => "$dir/$file", self::get_plugin_list($type));
        return array_filter($list, 'file_exists');
    }

    /** Component name => full path, in the order of installation. */
    public static function all_plugins(): array {
        $all = [];
        foreach (array_keys(self::TYPES) as $type) {
            foreach (self::get_plugin_list($type) as $name => $dir) {
                $all["{$type}_$name"] = $dir;
            }
        }
        return $all;
    }

    public static function plugin_version(string $dir) {
        $plugin = new \stdClass();
        $plugin->version = null;
        include("$dir/version.php");
        return $plugin->version;
    }

    public static function get_all_versions(): array {
        global $CFG;
        include("$CFG->dirroot/version.php");
        return ['core' => $version] + array_map([self::class, 'plugin_version'], self::all_plugins());
    }

    public static function get_all_versions_hash(): string {
        return sha1(serialize(self::get_all_versions()));
    }

    /** Hash of every db/ folder, keyed by absolute path: another dirroot has another value, as in Moodle. */
    public static function get_all_component_hash(): string {
        global $CFG;
        $hashes = [];
        foreach (array_merge(["$CFG->libdir"], array_values(self::all_plugins())) as $dir) {
            $files = array_filter(glob("$dir/db/*"), 'is_file');
            sort($files);
            $hashes["$dir/db"] = $files ? sha1(serialize(array_map('sha1_file', $files))) : sha1('');
        }
        return sha1(serialize($hashes));
    }

    public static function invalidate_opcode_php_cache(string $file): void {
        if (function_exists('opcache_invalidate')) {
            opcache_invalidate($file, true);
        }
    }
}

class_alias('core\component', 'core_component');
