<?php
// Stand-in for lib/setuplib.php: exceptions and how they are shown, signals, the first steps of a request.

/** Texts of Moodle's language files that the stand-in prints. */
function get_string(string $id, string $component = '', $a = null): string {
    static $strings = null;
    $strings = $strings ?? require(__DIR__ . '/strings.php');
    $text = $strings[$id] ?? "[[$id]]";
    foreach ((array)$a as $key => $value) {
        $text = str_replace(is_object($a) ? "{\$a->$key}" : '{$a}', (string)$value, $text);
    }
    return $text;
}

class moodle_exception extends Exception {
    public function __construct(public string $errorcode, public string $module = 'error', public $link = '', public $a = null,
            public ?string $debuginfo = null) {
        parent::__construct(get_string($errorcode, $module, $a));
    }
}
class coding_exception extends moodle_exception {
    public function __construct(string $hint) {
        parent::__construct('codingerror', 'debug', '', $hint);
    }
}
class dml_exception extends moodle_exception {
    public function __construct(string $errorcode, ?string $debuginfo = null) {
        parent::__construct($errorcode, 'error', '', null, $debuginfo);
    }
}
class dml_connection_exception extends dml_exception {
    public function __construct(string $error) {
        parent::__construct('dbconnectionfailed', $error);
    }
}
class dml_read_exception extends dml_exception {}
class dml_write_exception extends dml_exception {}
class ddl_change_structure_exception extends dml_exception {}
class cache_exception extends moodle_exception {}

function default_exception_handler(Throwable $ex): void {
    global $CFG;
    $code = $ex->errorcode ?? get_class($ex);
    $message = $ex->getMessage();
    $developer = ($CFG->debug & 32767) === 32767;
    if ($developer) {
        error_log("Default exception handler: $message Debug: " . ($ex->debuginfo ?? ''));
    }
    if (CLI_SCRIPT) {
        echo "!!! $message !!!\n";
        if ($developer && !empty($ex->debuginfo)) {
            echo "!! $ex->debuginfo !!\n";
        }
    } else if (AJAX_SCRIPT) {
        @header('Content-Type: application/json; charset=utf-8');
        echo json_encode(['error' => $message, 'stacktrace' => null, 'debuginfo' => null, 'errorcode' => $code]);
    } else {
        @header($_SERVER['SERVER_PROTOCOL'] . (defined('SETUP_COMPLETE') ? ' 404 Not Found' : ' 500 Internal Server Error'));
        @header('Content-Type: text/html; charset=utf-8');
        @header('Cache-Control: no-store, no-cache, must-revalidate');
        echo plain_page('Error', $message);
    }
    exit(1);
}

function plain_page(string $title, string $message): string {
    return "<!DOCTYPE html>\n<html><head><title>$title</title></head><body><div class='alert-danger'>$message</div></body></html>\n";
}

/** SIGTERM and SIGINT end a script between two statements, after its shutdown functions. */
class core_shutdown_manager {
    private static array $callbacks = [];
    private static array $signalcallbacks = [];

    public static function initialize(): void {
        register_shutdown_function([self::class, 'shutdown_handler']);
        if (extension_loaded('pcntl')) {
            pcntl_async_signals(true);
            pcntl_signal(SIGINT, [self::class, 'signal_handler']);
            pcntl_signal(SIGTERM, [self::class, 'signal_handler']);
        }
    }

    public static function register_function(callable $callback): void {
        self::$callbacks[] = $callback;
    }

    public static function register_signal_handler(callable $callback): void {
        self::$signalcallbacks[] = $callback;
    }

    public static function signal_handler(int $signo): void {
        echo $signo === SIGTERM ? "Terminated: $signo\n" : "\n";
        $exit = true;
        foreach (self::$signalcallbacks as $callback) {
            $exit = $callback($signo) && $exit;
        }
        if ($exit) {
            exit($signo === SIGTERM ? 143 : 130);
        }
    }

    public static function shutdown_handler(): void {
        foreach (self::$callbacks as $callback) {
            try {
                $callback();
            } catch (Throwable $e) {
                error_log('Exception ignored in shutdown function: ' . $e->getMessage());
            }
        }
    }
}

/** Settings of the database become properties of $CFG; those of config.php win. */
function initialise_cfg(): void {
    global $CFG;
    try {
        $localcfg = get_config('core');
    } catch (dml_exception $e) {
        return;     // Most probably an empty database.
    }
    foreach ($localcfg as $name => $value) {
        $CFG->$name = $value;
    }
    $CFG->debug = (int)$CFG->debug;
    error_reporting($CFG->debug);
    if (isset($CFG->debugdisplay)) {
        ini_set('display_errors', empty($CFG->debugdisplay) ? '0' : '1');
        ini_set('log_errors', '1');
    }
}

/** A request for another host name is sent to wwwroot, as a load balancer's check by address would be. */
function initialise_fullme(): void {
    global $CFG;
    if (substr($CFG->wwwroot, -1) === '/') {
        throw new moodle_exception('wwwrootslash');
    }
    if (CLI_SCRIPT) {
        return;
    }
    $wwwroot = parse_url("$CFG->wwwroot/");
    $asked = parse_url('http://' . ($_SERVER['HTTP_HOST'] ?? ''));
    $samehost = ($asked['host'] ?? '') === $wwwroot['host']
        && (empty($wwwroot['port']) || ($asked['port'] ?? 0) == $wwwroot['port']);
    if (empty($CFG->reverseproxy) && !empty($asked['host']) && !$samehost) {
        redirect($CFG->wwwroot . $_SERVER['REQUEST_URI']);
    }
    if (!empty($CFG->sslproxy) && $wwwroot['scheme'] !== 'https') {
        throw new coding_exception('Must use https address in wwwroot when ssl proxy enabled!');
    }
    if (empty($CFG->sslproxy) && $wwwroot['scheme'] === 'https' && empty($_SERVER['HTTPS'])) {
        redirect($CFG->wwwroot);
    }
    if (!empty($CFG->reverseproxy) && $samehost) {
        throw new moodle_exception('reverseproxyabused');
    }
}

/** Hard-coded in Moodle: the version where the last change was that nothing works without. */
function is_major_upgrade_required(): bool {
    global $CFG;
    return empty($CFG->version) || (float)$CFG->version < 2024010400.00 || empty($CFG->rolesactive) || !empty($CFG->adminsetuppending);
}

function redirect_if_major_upgrade_required(): void {
    global $CFG;
    if (is_major_upgrade_required()) {
        redirect("$CFG->wwwroot/$CFG->admin/index.php");
    }
}

function redirect(string $url): void {
    @header($_SERVER['SERVER_PROTOCOL'] . ' 303 See Other');
    @header("Location: $url");
    echo plain_page('Redirect', '<a href="' . htmlspecialchars($url) . '">Continue</a>');
    exit;
}

function make_writable_directory(string $dir): void {
    global $CFG;
    if (!is_dir($dir) && !@mkdir($dir, $CFG->directorypermissions, true) && !is_dir($dir)) {
        throw new moodle_exception('invaliddatarootpermissions', 'error', '', null, "$dir can not be created, check permissions.");
    }
    if (!is_writable($dir)) {
        throw new moodle_exception('invaliddatarootpermissions', 'error', '', null, "$dir is not writable, check permissions.");
    }
}

/** Remove a folder's content, and the folder too unless $contentonly. */
function remove_dir(string $dir, bool $contentonly = false): void {
    foreach (is_dir($dir) ? scandir($dir) : [] as $name) {
        if ($name !== '.' && $name !== '..') {
            is_dir("$dir/$name") && !is_link("$dir/$name") ? remove_dir("$dir/$name") : @unlink("$dir/$name");
        }
    }
    $contentonly || @rmdir($dir);
}

/**
 * Addition of the stand-in: every step of an install, an upgrade and a task comes through here by name, so that tests can
 * make it slow and kill it there. {dataroot}/standin.json: {"slow_ms":500,"steps":["mod_page"],"fail_at":"mod_forum"}.
 */
function standin_option(string $name, $default = null) {
    global $CFG;
    $file = "$CFG->dataroot/standin.json";
    $options = is_readable($file) ? (array)json_decode(file_get_contents($file), true) : [];
    return $options[$name] ?? $CFG->{"standin_$name"} ?? $default;
}

function standin_step(string $step): void {
    $steps = standin_option('steps');
    if ($steps === null || in_array($step, $steps, true)) {
        standin_sleep((int)standin_option('slow_ms', 0));
    }
    if (standin_option('fail_at') === $step) {
        throw new moodle_exception('generalexceptionmessage', 'error', '', "failed at $step on demand");
    }
}

/** Sleep in slices: a signal handler runs between them and does not shorten the whole. With "tick_ms" each slice leaves its trace. */
function standin_sleep(int $ms): void {
    $tick = (int)standin_option('tick_ms', 0);
    for ($end = microtime(true) + $ms / 1000; ($left = $end - microtime(true)) > 0;) {
        $tick && standin_tick();
        usleep((int)(min($left, ($tick ?: 100) / 1000) * 1e6));
    }
}

/** Who was at work when, for a job under the fence: a line in {dataroot}/ticks and a row in the table standin_ticks, which a test has made. */
function standin_tick(): void {
    global $CFG, $DB;
    if ($fence = json_decode(getenv('MOODLECTL_FENCE') ?: '', true)) {
        // hrtime is CLOCK_MONOTONIC: CLOCK_BOOTTIME on a machine that is never suspended.
        $tick = [$fence['purpose'], $fence['epoch'], gethostname(), getmypid(), intdiv(hrtime(true), 1000000)];
        file_put_contents("$CFG->dataroot/ticks", implode(' ', $tick) . "\n", FILE_APPEND);
        $DB->execute('INSERT INTO standin_ticks (purpose, epoch, member, pid, at_ms) VALUES (?, ?, ?, ?, ?)', $tick);
    }
}
