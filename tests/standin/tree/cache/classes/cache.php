<?php
// Stand-in for cache/classes: the MUC. One configuration file in the real format, Redis and file stores.

namespace core_cache;

use cache_exception;
use core_component;

class config {
    protected array $configuration;

    protected static function get_config_file_path(): string {
        global $CFG;
        $path = $CFG->altcacheconfigpath ?? '';
        if ($path && is_dir($path) && is_writable($path)) {
            return "$path/cacheconfig.php";
        }
        if ($path && is_writable(dirname($path)) && (!file_exists($path) || is_writable($path))) {
            return $path;
        }
        return "$CFG->dataroot/muc/config.php";     // What is not writable is ignored without a word.
    }

    public function __construct() {
        $this->load();
    }

    protected function load(): void {
        $file = static::get_config_file_path();
        $configuration = null;
        if (!file_exists($file)) {
            $this->configuration = self::default_configuration();
            $this->configuration['definitions'] = config_writer::standin_definitions();
            config_writer::save($this->configuration);
            return;
        }
        include($file);
        if (!is_array($configuration)) {
            throw new cache_exception('generalexceptionmessage', 'error', '', 'Invalid cache configuration file');
        }
        $this->configuration = $configuration + ['siteidentifier' => 'unknown', 'stores' => [], 'modemappings' => [], 'definitions' => [],
            'definitionmappings' => [], 'locks' => []];
        // Mappings of definitions that are not known (yet) are dropped, as the real loader does.
        $this->configuration['definitionmappings'] = array_values(array_filter($this->configuration['definitionmappings'],
            fn($m) => isset($this->configuration['definitions'][$m['definition']])));
    }

    private static function default_configuration(): array {
        $store = fn($name, $plugin, $modes, $features) => ['name' => $name, 'plugin' => $plugin, 'configuration' => [], 'features' => $features,
            'modes' => $modes, 'default' => true, 'class' => "cachestore_$plugin", 'lock' => 'cachelock_file_default'];
        return ['siteidentifier' => 'unknown',
            'stores' => ['default_application' => $store('default_application', 'file', 3, 30),
                'default_session' => $store('default_session', 'session', 2, 14),
                'default_request' => $store('default_request', 'static', 4, 31)],
            'modemappings' => [['store' => 'default_application', 'mode' => 1, 'sort' => -1],
                ['store' => 'default_session', 'mode' => 2, 'sort' => -1], ['store' => 'default_request', 'mode' => 4, 'sort' => -1]],
            'definitions' => [], 'definitionmappings' => [],
            'locks' => ['cachelock_file_default' => ['name' => 'cachelock_file_default', 'type' => 'cachelock_file', 'dir' => 'filelocks',
                'default' => true]]];
    }

    /** A definition that the file does not know: look through the code once more and write the file. */
    public function definition(string $id): array {
        if (!isset($this->configuration['definitions'][$id])) {
            $this->configuration['definitions'] = config_writer::standin_definitions();
            config_writer::save($this->configuration);
        }
        if (!isset($this->configuration['definitions'][$id])) {
            throw new cache_exception('codingerror', 'debug', '', "The requested cache definition does not exist. $id");
        }
        return $this->configuration['definitions'][$id];
    }

    public function get_definitions(): array {
        return $this->configuration['definitions'];
    }

    public function get_all_stores(): array {
        return $this->configuration['stores'];
    }

    public function get_mode_mappings(): array {
        return $this->configuration['modemappings'];
    }

    /** The first store that a definition is mapped to, its own mapping before its mode's. */
    public function store_for(string $id): array {
        $mode = $this->definition($id)['mode'];
        $names = array_column(array_filter($this->configuration['definitionmappings'], fn($m) => $m['definition'] === $id), 'store');
        $modes = array_filter($this->configuration['modemappings'], fn($m) => $m['mode'] === $mode);
        usort($modes, fn($a, $b) => $a['sort'] <=> $b['sort']);
        foreach (array_merge($names, array_column($modes, 'store')) as $name) {
            if (isset($this->configuration['stores'][$name])) {
                return $this->configuration['stores'][$name];
            }
        }
        return ['name' => 'default_application', 'plugin' => 'file', 'configuration' => []];
    }
}

class config_writer extends config {
    public static function instance(): config_writer {
        return new self();
    }

    /** From db/caches.php of core and all plugins; needs no database. */
    protected static function locate_definitions($coreonly = false): array {
        global $CFG;
        $files = ['core' => "$CFG->dirroot/lib/db/caches.php"];
        foreach ($coreonly ? [] : core_component::all_plugins() as $component => $dir) {
            $files[$component] = "$dir/db/caches.php";
        }
        $all = [];
        foreach (array_filter($files, 'file_exists') as $component => $file) {
            $definitions = [];
            include($file);
            foreach ($definitions as $area => $definition) {
                $all["$component/$area"] = $definition + ['component' => $component, 'area' => $area];
            }
        }
        return $all;
    }

    public static function standin_definitions(): array {
        return self::locate_definitions();
    }

    /** Write the file under {cachedir}/filelocks/configwrite.lock; without maxlife a lock left behind is never broken. */
    public static function save(array $configuration): void {
        global $CFG;
        $file = static::get_config_file_path();
        $content = "<?php defined('MOODLE_INTERNAL') || die();\n \$configuration = " . var_export($configuration, true) . ';';
        if (file_exists($file) && file_get_contents($file) === $content) {
            return;
        }
        make_writable_directory(dirname($file));
        make_writable_directory("$CFG->cachedir/filelocks");
        $lock = "$CFG->cachedir/filelocks/configwrite.lock";
        $maxlife = reset($configuration['locks'])['maxlife'] ?? null;
        for ($try = 0; !($handle = @fopen($lock, 'x')); $try++) {
            if ($maxlife && @filemtime($lock) < time() - $maxlife) {
                @unlink($lock);
            } else if ($try === 27) {
                throw new cache_exception('ex_configcannotsave', 'cache', '', null, 'Unable to open the cache config file.');
            } else {
                usleep(100000);
            }
            clearstatcache();
        }
        file_put_contents("$file.tmp", $content);
        fclose($handle);
        unlink($lock);
        @chmod("$file.tmp", $CFG->filepermissions);
        rename("$file.tmp", $file);
        core_component::invalidate_opcode_php_cache($file);
    }

    public function add_store_instance($name, $plugin, array $configuration = []): bool {
        if (isset($this->configuration['stores'][$name])) {
            throw new cache_exception('generalexceptionmessage', 'error', '', 'Duplicate name specificed for cache plugin instance. '
                . 'You must provide a unique name.');
        }
        return $this->put_store($name, $plugin, $configuration);
    }

    public function edit_store_instance($name, $plugin, $configuration): bool {
        return $this->put_store($name, $plugin, $configuration);
    }

    private function put_store(string $name, string $plugin, array $configuration): bool {
        $redis = $plugin === 'redis';
        $this->configuration['stores'][$name] = ['name' => $name, 'plugin' => $plugin, 'configuration' => $configuration,
            'features' => $redis ? 26 : 30, 'modes' => 3, 'mappingsonly' => !empty($configuration['mappingsonly']),
            'class' => "cachestore_$plugin", 'default' => false];
        if ($redis) {
            require_once(__DIR__ . '/../stores/redis/lib.php');
            new \cachestore_redis($name, $configuration);    // The real one contacts the server here, and does not mind when it is away.
        }
        self::save($this->configuration);
        return true;
    }

    /** Mode => names of stores. */
    public function set_mode_mappings(array $mappings): bool {
        $this->configuration['modemappings'] = [];
        foreach ($mappings as $mode => $stores) {
            foreach (array_values($stores) as $sort => $store) {
                $this->configuration['modemappings'][] = ['store' => $store, 'mode' => $mode, 'sort' => $sort];
            }
        }
        self::save($this->configuration);
        return true;
    }

    public function set_definition_mappings($definition, $mappings): void {
        $this->definition($definition);
        $kept = array_filter($this->configuration['definitionmappings'], fn($m) => $m['definition'] !== $definition);
        foreach (array_values($mappings) as $sort => $store) {
            $kept[] = ['store' => $store, 'definition' => $definition, 'sort' => count($mappings) - $sort];
        }
        $this->configuration['definitionmappings'] = array_values($kept);
        self::save($this->configuration);
    }

    public static function update_definitions($coreonly = false): void {
        $writer = self::instance();
        $writer->configuration['definitions'] = self::locate_definitions($coreonly);
        self::save($writer->configuration);
    }
}

class file_store {
    private string $root;

    public function __construct(string $name, array $configuration) {
        global $CFG;
        $this->root = ($configuration['path'] ?? "$CFG->cachedir/cachestore_file") . "/$name";
    }

    public function is_ready(): bool {
        return true;
    }

    private function file(string $area, string $key): string {
        return "$this->root/$area/" . sha1($key) . '.cache';
    }

    public function get(string $area, string $key) {
        $content = @file_get_contents($this->file($area, $key));
        return $content === false ? false : unserialize($content);
    }

    public function set(string $area, string $key, $value): void {
        make_writable_directory("$this->root/$area");
        $temp = $this->file($area, $key) . '.' . getmypid();
        file_put_contents($temp, serialize($value));
        rename($temp, $this->file($area, $key));
    }

    public function delete(string $area, string $key): void {
        @unlink($this->file($area, $key));
    }

    public function purge(string $area): void {
        remove_dir("$this->root/$area");
    }
}

class cache {
    private static ?config $config = null;
    private static array $stores = [];
    private string $area;
    private $store = null;

    private function __construct(private string $id, bool $enabled) {
        if ($enabled) {
            self::$config = self::$config ?? new config();
            $this->store = self::store(self::$config->store_for($id));
            $this->area = md5($id);
        }
    }

    /** CACHE_DISABLE_ALL: nothing is read, written or configured. */
    public static function make(string $component, string $area): cache {
        return new cache("$component/$area", !CACHE_DISABLE_ALL);
    }

    /** A Redis that refuses is replaced by files, silently: such a member works on its own data. */
    private static function store(array $details) {
        $name = $details['name'];
        if (!isset(self::$stores[$name])) {
            require_once(__DIR__ . '/../stores/redis/lib.php');
            $store = $details['plugin'] === 'redis' ? new \cachestore_redis($name, $details['configuration'])
                : new file_store($name, $details['configuration']);
            self::$stores[$name] = $store->is_ready() ? $store : new file_store('default_application', []);
        }
        return self::$stores[$name];
    }

    public function get($key) {
        return $this->store ? $this->store->get($this->area, (string)$key) : false;
    }

    public function set($key, $value): bool {
        $this->store && $this->store->set($this->area, (string)$key, $value);
        return true;
    }

    public function delete($key): bool {
        $this->store && $this->store->delete($this->area, (string)$key);
        return true;
    }

    /** With $usewriter the real stores are purged even when this process has caches disabled. */
    public static function purge_all(bool $usewriter): void {
        if (CACHE_DISABLE_ALL && !$usewriter) {
            return;
        }
        self::$config = new config();
        foreach (array_keys(self::$config->get_definitions()) as $id) {
            self::store(self::$config->store_for($id))->purge(md5($id));
        }
    }
}

class helper {
    public static function purge_all($usewriter = false): void {
        cache::purge_all($usewriter);
    }

    public static function invalidate_by_definition($component, $area, array $identifiers = [], $keys = []): void {
        foreach ((array)$keys as $key) {
            cache::make($component, $area)->delete($key);
        }
    }

    public static function update_definitions($coreonly = false): void {
        config_writer::update_definitions($coreonly);
    }
}

class_alias('core_cache\cache', 'cache');
class_alias('core_cache\helper', 'cache_helper');
