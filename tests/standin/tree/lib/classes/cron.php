<?php
// Stand-in for lib/classes/cron.php, task/manager.php and lock/: the cron loop, its tasks, its locks, its signals.

namespace core\local\cli {
    /** The first SIGTERM or SIGINT lets the running task finish, the second does not. */
    class shutdown {
        private static bool $graceful = false;

        public static function script_supports_graceful_exit(): void {
            \core_shutdown_manager::register_signal_handler([self::class, 'signal_handler']);
        }

        public static function should_gracefully_exit(): bool {
            return self::$graceful;
        }

        public static function signal_handler(int $signo): bool {
            if (self::$graceful) {
                cli_heading(get_string('cliexitnow', 'admin'));
                return true;
            }
            cli_heading(get_string('cliexitgraceful', 'admin'));
            self::$graceful = true;
            return false;
        }
    }
}

namespace core\lock {
    /** Locks of the database session; Moodle's own keys. */
    class lock_config {
        public static function get_lock_factory(string $type): lock_config {
            return new self($type);
        }

        private function __construct(private string $type) {
        }

        private function call(string $pgfunction, string $myfunction, string $resource, string $timeout): bool {
            global $CFG, $DB;
            if ($DB->get_dbfamily() === 'postgres') {
                $namespace = unpack('l', pack('L', crc32("$CFG->dbname:$CFG->prefix")))[1];
                $token = hexdec(substr(sha1("{$this->type}_$resource"), 0, 7));
                return $DB->get_field_sql("SELECT $pgfunction(?::int, ?::int)", [$namespace, $token]) === 't';
            }
            $key = sha1("$CFG->dbname:{$CFG->prefix}_{$this->type}_$resource");
            return $DB->get_field_sql("SELECT $myfunction(?$timeout)", [$key]) == 1;
        }

        /** A lock, or false. */
        public function get_lock(string $resource, int $timeout) {
            for ($end = time() + $timeout; !$this->call('pg_try_advisory_lock', 'GET_LOCK', $resource, ', 0'); usleep(100000)) {
                if (time() >= $end) {
                    return false;
                }
            }
            return new lock(fn() => $this->call('pg_advisory_unlock', 'RELEASE_LOCK', $resource, ''));
        }
    }

    class lock {
        public function __construct(private \Closure $unlock) {
        }

        public function release(): void {
            ($this->unlock)();
        }
    }
}

namespace core\task {
    use core\lock\lock_config;

    /** A row of {task_scheduled} or {task_adhoc} together with its lock. */
    class standin_task {
        public function __construct(public string $table, public \stdClass $record, public \core\lock\lock $lock) {
        }

        public function execute(): void {
            global $DB;
            $data = json_decode($this->record->customdata ?? '', true) ?: [];
            $run = ['classname' => $this->record->classname, 'hostname' => gethostname(), 'pid' => getmypid(),
                'started' => (int)(microtime(true) * 1000)];
            $run['id'] = $DB->insert_record('local_standin_runs', $run);
            $eaten = str_repeat('x', (int)($data['mb'] ?? 0) << 20);
            standin_sleep((int)($data['ms'] ?? standin_option('cron_task_ms', 0)));
            if (!empty($data['fail'])) {
                throw new \moodle_exception('generalexceptionmessage', 'error', '', 'the task failed on demand');
            }
            $DB->update_record('local_standin_runs', ['id' => $run['id'], 'ended' => (int)(microtime(true) * 1000)]);
        }
    }

    class manager {
        private static ?standin_task $running = null;

        /** The default tasks; each is due a minute after it ran. */
        public static function install_tasks(): void {
            global $DB;
            foreach (['moodle' => ['\core\task\session_cleanup_task', '\core\task\task_lock_cleanup_task'],
                    'local_standin' => ['\local_standin\task\heartbeat']] as $component => $classes) {
                foreach ($classes as $class) {
                    $DB->insert_record('task_scheduled', ['component' => $component, 'classname' => $class, 'nextruntime' => 0,
                        'lastruntime' => 0, 'faildelay' => 0]);
                }
            }
        }

        /** The whole of "cron.php --stop": every cron process that began before this second ends after its task. */
        public static function clear_static_caches(): void {
            global $DB;
            if ($DB->record_exists('config', ['name' => 'scheduledtaskreset'])) {
                $DB->set_field('config', 'value', time(), ['name' => 'scheduledtaskreset']);
            } else {
                $DB->insert_record('config', ['name' => 'scheduledtaskreset', 'value' => time()]);
            }
        }

        public static function static_caches_cleared_since(int $starttime): bool {
            global $DB;
            return (int)$DB->get_field('config', 'value', ['name' => 'scheduledtaskreset']) > $starttime;
        }

        public static function get_running_tasks(): array {
            global $DB;
            $rows = [];
            foreach (['scheduled', 'adhoc'] as $type) {
                foreach ($DB->get_records_sql("SELECT * FROM {task_$type} WHERE timestarted IS NOT NULL") as $row) {
                    $rows[] = (object)((array)$row + ['type' => $type]);
                }
            }
            return $rows;
        }

        public static function get_next_scheduled_task(int $timestart): ?standin_task {
            global $DB;
            foreach ($DB->get_records_sql('SELECT * FROM {task_scheduled} WHERE disabled = 0 AND COALESCE(lastruntime, 0) < ?
                    AND COALESCE(nextruntime, 0) < ? ORDER BY lastruntime, id', [$timestart, $timestart]) as $row) {
                if ($task = self::take('task_scheduled', $row, $row->classname, 'COALESCE(nextruntime, 0) < ?', $timestart)) {
                    return $task;
                }
            }
            return null;
        }

        /** Rows with timestarted belong to somebody, alive or not: that is how a killed cron strands them. */
        public static function get_next_adhoc_task(int $timestart, ?string $classname = null): ?standin_task {
            global $DB;
            foreach ($DB->get_records_sql('SELECT * FROM {task_adhoc} WHERE timestarted IS NULL AND nextruntime < ?
                    AND (attemptsavailable > 0 OR attemptsavailable IS NULL) ORDER BY nextruntime, id', [$timestart]) as $row) {
                if (($classname === null || $row->classname === '\\' . ltrim($classname, '\\'))
                        && ($task = self::take('task_adhoc', $row, "adhoc_$row->id", 'nextruntime < ?', $timestart))) {
                    return $task;
                }
            }
            return null;
        }

        private static function take(string $table, \stdClass $row, string $lockname, string $due, int $timestart): ?standin_task {
            global $DB;
            $factory = lock_config::get_lock_factory('cron');
            if (!$lock = $factory->get_lock($lockname, 0)) {
                return null;
            }
            if (!$row = $DB->get_record_sql("SELECT * FROM {{$table}} WHERE id = ? AND $due", [$row->id, $timestart])) {
                $lock->release();   // Another cron has done it meanwhile.
                return null;
            }
            if (!$cronlock = $factory->get_lock('core_cron', 10)) {
                $lock->release();
                throw new \moodle_exception('generalexceptionmessage', 'error', '', 'locktimeout');
            }
            $cronlock->release();
            return new standin_task($table, $row, $lock);
        }

        public static function starting(standin_task $task): void {
            global $DB;
            $start = ['id' => $task->record->id, 'timestarted' => time(), 'hostname' => gethostname(), 'pid' => getmypid()];
            if ($task->table === 'task_adhoc' && $task->record->firststartingtime === null) {
                $start['firststartingtime'] = time();
            }
            $DB->update_record($task->table, $start);
            self::$running || \core_shutdown_manager::register_function([self::class, 'fail_running_task']);
            self::$running = $task;
        }

        public static function complete(standin_task $task): void {
            global $DB;
            if ($task->table === 'task_adhoc') {
                $DB->delete_records('task_adhoc', ['id' => $task->record->id]);
            } else {
                $DB->update_record('task_scheduled', ['id' => $task->record->id, 'lastruntime' => time(), 'nextruntime' => time() + 60,
                    'faildelay' => 0, 'timestarted' => null, 'hostname' => null, 'pid' => null]);
            }
            $task->lock->release();
            self::$running = null;
        }

        public static function failed(standin_task $task): void {
            global $DB;
            $delay = min(86400, 2 * (int)$task->record->faildelay ?: 60);
            $update = ['id' => $task->record->id, 'nextruntime' => time() + $delay, 'faildelay' => $delay, 'timestarted' => null,
                'hostname' => null, 'pid' => null];
            if (($task->record->attemptsavailable ?? 0) > 0) {
                $update['attemptsavailable'] = $task->record->attemptsavailable - 1;
            }
            $DB->update_record($task->table, $update);
            $task->lock->release();
            self::$running = null;
        }

        /** A second signal ends the process inside a task: the row is given back, and the status is 1, not 143. */
        public static function fail_running_task(): void {
            if (self::$running) {
                self::failed(self::$running);
                exit(1);
            }
        }
    }
}

namespace core {
    use core\local\cli\shutdown;
    use core\task\manager;

    class cron {
        public static function run_main_process(?int $keepalive = null): void {
            if (CLI_MAINTENANCE) {
                echo "CLI maintenance mode active, cron execution suspended.\n";
                exit(1);
            }
            if (moodle_needs_upgrading()) {
                echo "Moodle upgrade pending, cron execution suspended.\n";
                exit(1);
            }
            $start = time();
            mtrace('Server Time: ' . date('r', $start) . "\n\n");
            $last = get_config('tool_task', 'lastcronstart');
            set_config('lastcronstart', $start, 'tool_task');
            $last && set_config('lastcroninterval', max(1, $start - $last), 'tool_task');
            $keepalive = $keepalive ?? (int)(get_config('core', 'cron_keepalive') ?: 180);
            if ($keepalive > 900) {
                mtrace('Cron keepalive time is too long, reducing to 15 minutes.');
                $keepalive = 900;
            }
            do {
                $begin = microtime(true);
                self::run_scheduled_tasks(time(), $start);
                self::run_adhoc_tasks(time(), 0, true, $start);
                mtrace('Cron run completed correctly');
                $remaining = $start + $keepalive - time();
                $again = fn() => !shutdown::should_gracefully_exit() && !manager::static_caches_cleared_since($start);
                $message = sprintf('Cron completed at %s in %.2f seconds. Memory used: %.1f MB.', date('H:i:s'),
                    microtime(true) - $begin, memory_get_usage() / 1048576);
                if ($runagain = $remaining > 0 && $again()) {
                    mtrace("$message Continuing to check for tasks for $remaining more seconds.");
                    standin_sleep(1000);
                    $runagain = $again();
                } else {
                    mtrace($message);
                }
            } while ($runagain);
        }

        /** Runner N of the site: at most task_{$type}_concurrency_limit at once. */
        private static function runner_lock(string $type) {
            for ($run = 0; $run < get_config('core', "task_{$type}_concurrency_limit"); $run++) {
                if ($lock = \core\lock\lock_config::get_lock_factory('cron')->get_lock("{$type}_task_runner_$run", 0)) {
                    return $lock;
                }
            }
            mtrace("Skipping processing of $type tasks. Concurrency limit reached.");
            return null;
        }

        private static function may_go_on(int $startprocesstime): bool {
            return !shutdown::should_gracefully_exit() && !manager::static_caches_cleared_since($startprocesstime);
        }

        public static function run_scheduled_tasks(int $startruntime, int $startprocesstime): void {
            if (!$lock = self::runner_lock('scheduled')) {
                return;
            }
            while (self::may_go_on($startprocesstime) && $task = manager::get_next_scheduled_task($startruntime)) {
                self::run_inner_task($task);
            }
            $lock->release();
        }

        public static function run_adhoc_tasks(int $startruntime, int $keepalive = 0, bool $checklimits = true,
                ?int $startprocesstime = null, ?int $maxtasks = null, ?string $classname = null): void {
            if ($checklimits && !$lock = self::runner_lock('adhoc')) {
                return;
            }
            for ($count = 0, $waiting = false; self::may_go_on($startprocesstime ?? $startruntime) && (!$maxtasks || $count < $maxtasks);) {
                if ($task = manager::get_next_adhoc_task(time(), $classname)) {
                    $waiting && mtrace('');
                    $waiting = false;
                    self::run_inner_task($task);
                    $count++;
                } else if ($startruntime + $keepalive > time()) {
                    mtrace($waiting ? '.' : 'Waiting for more adhoc tasks to be queued ', '');
                    $waiting = true;
                    sleep(1);
                } else {
                    break;
                }
            }
            $waiting && mtrace('');
            mtrace("Ran $count adhoc tasks found at " . date('r', $startruntime));
            $checklimits && $lock->release();
        }

        public static function run_inner_task(\core\task\standin_task $task): void {
            $type = $task->table === 'task_adhoc' ? 'adhoc' : 'scheduled';
            $name = $type === 'adhoc' ? ltrim($task->record->classname, '\\')
                : basename(str_replace('\\', '/', $task->record->classname)) . ' (' . ltrim($task->record->classname, '\\') . ')';
            manager::starting($task);
            mtrace("Execute $type task: $name");
            if ($type === 'adhoc') {
                mtrace("Adhoc task id: {$task->record->id}");
                mtrace("Adhoc task custom data: {$task->record->customdata}");
            }
            mtrace('... started ' . date('H:i:s') . '. Current memory use ' . round(memory_get_usage() / 1048576, 1) . ' MB.');
            $begin = microtime(true);
            try {
                $task->execute();
                mtrace('... used ' . (microtime(true) - $begin) . ' seconds');
                mtrace(ucfirst($type) . " task complete: $name");
                manager::complete($task);
            } catch (\Throwable $e) {
                mtrace('... used ' . (microtime(true) - $begin) . ' seconds');
                mtrace(ucfirst($type) . " task failed: $name,{$e->getMessage()}");
                manager::failed($task);
            }
        }
    }
}
