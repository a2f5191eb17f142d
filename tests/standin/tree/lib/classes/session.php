<?php
// Stand-in for lib/classes/session: PHP sessions in Redis with Moodle 4.5's keys and setting names, or in files.

namespace core\session;

use RedisException;

class manager {
    public static ?redis $redis = null;

    public static function start(): void {
        global $CFG, $USER, $SESSION;
        if (empty($CFG->version)) {
            return;     // Nothing installed: no session.
        }
        $class = $CFG->session_handler_class ?? '\core\session\file';
        if (trim($class, '\\') === 'core\session\redis') {
            self::$redis = new redis();
            self::$redis->init();
            session_set_save_handler(self::$redis);
        } else {
            make_writable_directory("$CFG->dataroot/sessions");
            ini_set('session.save_handler', 'files');
            ini_set('session.save_path', "$CFG->dataroot/sessions");
        }
        session_name('MoodleSession' . ($CFG->sessioncookie ?? ''));
        session_set_cookie_params(['lifetime' => 0, 'path' => parse_url($CFG->wwwroot, PHP_URL_PATH) . '/', 'httponly' => true,
            'secure' => str_starts_with($CFG->wwwroot, 'https:')]);
        $new = empty($_COOKIE[session_name()]);
        session_start();
        if (self::$redis && !self::$redis->known(session_id())) {
            $new || session_regenerate_id(true);    // An id that a stranger chose.
            $_SESSION = [];
            self::$redis->add_session(0);
        }
        $_SESSION['USER'] = $_SESSION['USER'] ?? (object)['id' => 0];
        $_SESSION['SESSION'] = $_SESSION['SESSION'] ?? new \stdClass();
        $USER = $_SESSION['USER'];
        $SESSION = $_SESSION['SESSION'];
    }

    public static function login_user(\stdClass $user): void {
        session_regenerate_id(true);
        self::set_user($user);
        self::$redis && self::$redis->add_session((int)$user->id);
    }

    public static function set_user(\stdClass $user): void {
        global $USER;
        unset($user->password);
        $USER = $_SESSION['USER'] = $user;
    }
}

class file {
}

class redis implements \SessionHandlerInterface {
    private ?\Redis $connection = null;
    private array $locks = [];
    private string $lasthash = '';
    private int $lockexpire;

    /** Three tries as Moodle, then an exception: 500 for pages, 200 with JSON for AJAX. */
    public function init(): void {
        global $CFG;
        $host = strtolower(trim($CFG->session_redis_host ?? ''));
        if ($host === '') {
            throw new \moodle_exception('sessionhandlerproblem', 'error', '', null, '$CFG->session_redis_host must be specified in config.php');
        }
        [$host, $port] = explode(':', $host) + [1 => (int)($CFG->session_redis_port ?? 6379)];
        $timeout = (int)($CFG->session_redis_connection_timeout ?? 3);
        $tls = $CFG->session_redis_encrypt ?? [];
        $this->lockexpire = (int)($CFG->session_redis_lock_expire ?? ini_get('max_execution_time') ?: $CFG->sessiontimeout);
        for ($try = 1; $try <= (int)($CFG->session_redis_max_retries ?? 3); $try++) {
            try {
                $this->connection = new \Redis();
                $this->connection->connect($tls ? "tls://$host" : $host, (int)$port, $timeout, null, rand(100, 500), $timeout,
                    $tls ? ['stream' => $tls] : []);
                $auth = $CFG->session_redis_auth ?? '';
                if ($auth !== '' && !$this->connection->auth($auth)) {
                    throw new RedisException('Unable to authenticate.');
                }
                $this->connection->setOption(\Redis::OPT_SERIALIZER, \Redis::SERIALIZER_PHP);
                $this->connection->setOption(\Redis::OPT_PREFIX, $CFG->session_redis_prefix ?? '');
                if (!$this->connection->info('server')) {
                    throw new RedisException('Failed to fetch server information');
                }
                $this->connection->select((int)($CFG->session_redis_database ?? 0));
                return;
            } catch (RedisException $e) {
                $error = "Failed to connect (try $try) to Redis at $host:$port, the error returned was: {$e->getMessage()}";
                usleep(rand(100000, 500000));
            }
        }
        throw new RedisException($error);
    }

    public function open(string $path, string $name): bool {
        return true;
    }

    public function close(): bool {
        foreach (array_keys($this->locks) as $id) {
            $this->connection->unlink("$id.lock");
        }
        $this->locks = [];
        return true;
    }

    public function read(string $id): string|false {
        $this->lock("session_$id");
        $data = (string)$this->connection->hGet("session_$id", 'sessdata');
        $this->lasthash = sha1($data);
        return $data;
    }

    public function write(string $id, string $data): bool {
        if (sha1($data) !== $this->lasthash) {
            $this->connection->hSet("session_$id", 'sessdata', $data);
            $this->expire($id, (int)$this->connection->hGet("session_$id", 'userid'));
        }
        return true;
    }

    public function destroy(string $id): bool {
        $this->connection->hDel('user_' . $this->connection->hGet("session_$id", 'userid'), $id);
        $this->connection->unlink("session_$id");
        return true;
    }

    public function gc(int $max_lifetime): int|false {
        return 0;
    }

    public function known(string $id): bool {
        return $this->connection->hGet("session_$id", 'sid') !== false;
    }

    public function add_session(int $userid): void {
        $sid = session_id();
        $now = time();
        $this->connection->hSet("user_$userid", $sid, $now);
        $this->connection->hMSet("session_$sid", ['id' => $sid, 'state' => '0', 'sid' => $sid, 'userid' => $userid, 'sessdata' => null,
            'timecreated' => $now, 'timemodified' => $now, 'firstip' => $_SERVER['REMOTE_ADDR'], 'lastip' => $_SERVER['REMOTE_ADDR']]);
        $this->expire($sid, $userid);
    }

    private function expire(string $sid, int $userid): void {
        global $CFG;
        $this->connection->expire("session_$sid", $userid ? (int)$CFG->sessiontimeout + 80 : 180);
    }

    private function lock(string $id): void {
        global $CFG;
        $giveup = time() + (int)($CFG->session_redis_acquire_lock_timeout ?? 120);
        $whoami = '[pid ' . getmypid() . '] ' . gethostname() . ':' . $_SERVER['REQUEST_URI'];
        while (!$this->connection->set("$id.lock", $whoami, ['nx', 'ex' => $this->lockexpire])) {
            if (time() > $giveup) {
                throw new \moodle_exception('sessionhandlerproblem', 'error', '', null, 'Unable to obtain session lock');
            }
            usleep((int)($CFG->session_redis_acquire_lock_retry ?? 100) * 1000);
        }
        $this->locks[$id] = true;
    }
}
