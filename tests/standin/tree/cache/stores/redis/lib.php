<?php
// Stand-in for cache/stores/redis/lib.php: the cache store on Redis.

/** Values in one Redis hash per definition: <prefix><md5 of the definition>. */
class cachestore_redis {
    private bool $ready = false;
    private Redis $redis;

    public function __construct(string $name, array $configuration = []) {
        $tls = !empty($configuration['encryption']);
        [$host, $port] = explode(':', strtolower($configuration['server'])) + [1 => 6379];
        $tlsoptions = empty($configuration['cafile']) ? ['verify_peer' => false, 'verify_peer_name' => false]
            : ['cafile' => $configuration['cafile']];
        try {
            $this->redis = new Redis();
            $timeout = (int)($configuration['connectiontimeout'] ?? 3);
            $this->redis->connect(($tls ? 'tls://' : '') . $host, (int)$port, $timeout, null, 100, $timeout, $tls ? ['stream' => $tlsoptions] : []);
            if (!empty($configuration['password'])) {
                $this->redis->auth($configuration['password']);
            }
            if ($tls && !$this->redis->ping('Ping')) {
                throw new RedisException('Ping failed');
            }
            $this->redis->setOption(Redis::OPT_SERIALIZER, (int)($configuration['serializer'] ?? Redis::SERIALIZER_PHP));
            $this->redis->setOption(Redis::OPT_PREFIX, $configuration['prefix'] ?? '');
            $this->ready = true;
        } catch (RedisException $e) {
            global $CFG;
            if (!empty($CFG->debugdeveloper)) {
                error_log("Failed to connect to Redis at $host:$port, the error returned was: {$e->getMessage()}");
            }
        }
    }

    public function is_ready(): bool {
        return $this->ready;
    }

    public function get(string $area, string $key) {
        return $this->redis->hGet($area, $key);
    }

    public function set(string $area, string $key, $value): void {
        $this->redis->hSet($area, $key, $value);
    }

    public function delete(string $area, string $key): void {
        $this->redis->hDel($area, $key);
    }

    public function purge(string $area): void {
        $this->redis->del($area);
    }
}
