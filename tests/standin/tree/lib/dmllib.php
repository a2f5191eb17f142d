<?php
// Stand-in for lib/dml: $DB over PHP's pg_* and mysqli functions. {name} is a table, parameters are ? or :name.

define('IGNORE_MISSING', 0);
define('IGNORE_MULTIPLE', 1);
define('MUST_EXIST', 2);

abstract class moodle_database {
    protected string $prefix = '';

    public static function connect_from_config(stdClass $CFG): moodle_database {
        $class = ['pgsql' => pgsql_native_moodle_database::class, 'mysqli' => mysqli_native_moodle_database::class,
            'mariadb' => mysqli_native_moodle_database::class, 'auroramysql' => mysqli_native_moodle_database::class][$CFG->dbtype] ?? null;
        if (!$class) {
            throw new dml_exception('dbdriverproblem', "Unknown driver native/$CFG->dbtype");
        }
        $db = new $class();
        $db->prefix = $CFG->prefix;
        $db->connect((string)$CFG->dbhost, (string)($CFG->dbuser ?? ''), (string)($CFG->dbpass ?? ''), (string)$CFG->dbname,
            $CFG->dboptions ?? []);
        return $db;
    }

    abstract public function connect(string $host, string $user, string $pass, string $name, array $options): void;
    abstract public function get_dbfamily(): string;
    /** Rows of one statement, or null when it has none. Values are strings. */
    abstract protected function query(string $sql, array $params, string $errorcode): ?array;
    abstract protected function last_id(string $table): int;
    /** A batch of DDL, as the real driver sends it. */
    abstract public function change_database_structure(array $sqls): void;
    abstract public function quote(string $value): string;

    public function get_prefix(): string {
        return $this->prefix;
    }

    /** {table} gets the prefix, parameters become literals. */
    protected function finish(string $sql, array $params): string {
        $sql = preg_replace('/\{([a-z][a-z0-9_]*)\}/', $this->prefix . '$1', $sql);
        return preg_replace_callback('/(?<!:):([a-z]\w*)|\?/', function ($match) use (&$params) {
            $value = isset($match[1]) ? $params[$match[1]] : array_shift($params);
            return $value === null ? 'NULL' : (is_bool($value) ? (string)(int)$value : $this->quote((string)$value));
        }, $sql);
    }

    public function execute(string $sql, ?array $params = null): bool {
        if (str_contains($sql, ';')) {
            throw new coding_exception('moodle_database::execute() Multiple sql statements found or bound parameters not used '
                . 'properly in query!');
        }
        $this->query($sql, (array)$params, 'dmlwriteexception');
        return true;
    }

    /** First column => row object. */
    public function get_records_sql(string $sql, ?array $params = null, int $from = 0, int $limit = 0): array {
        $records = [];
        foreach ($this->query($sql . ($limit ? " LIMIT $limit OFFSET $from" : ''), (array)$params, 'dmlreadexception') as $row) {
            $records[reset($row)] = (object)$row;
        }
        return $records;
    }

    public function get_record_sql(string $sql, ?array $params = null, int $strictness = 0) {
        $rows = $this->query($sql, (array)$params, 'dmlreadexception');
        if (!$rows && $strictness === MUST_EXIST) {
            throw new dml_exception('invalidrecordunknown');
        }
        return $rows ? (object)$rows[0] : false;
    }

    public function get_field_sql(string $sql, ?array $params = null, int $strictness = 0) {
        $rows = $this->query($sql, (array)$params, 'dmlreadexception');
        if (!$rows && $strictness === MUST_EXIST) {
            throw new dml_exception('invalidrecordunknown');
        }
        return $rows ? reset($rows[0]) : false;
    }

    protected function where(array $conditions): string {
        $parts = [];
        foreach ($conditions as $name => $value) {
            $parts[] = $value === null ? "$name IS NULL" : "$name = :$name";
        }
        return $parts ? ' WHERE ' . implode(' AND ', $parts) : '';
    }

    public function get_records(string $table, ?array $conditions = null, string $sort = '', string $fields = '*'): array {
        return $this->get_records_sql("SELECT $fields FROM {{$table}}" . $this->where((array)$conditions)
            . ($sort ? " ORDER BY $sort" : ''), $conditions);
    }

    public function get_records_menu(string $table, ?array $conditions = null, string $sort = '', string $fields = '*'): array {
        $menu = [];
        foreach ($this->get_records($table, $conditions, $sort, $fields) as $record) {
            $values = array_values((array)$record);
            $menu[$values[0]] = $values[1];
        }
        return $menu;
    }

    public function get_record(string $table, array $conditions, string $fields = '*', int $strictness = 0) {
        return $this->get_record_sql("SELECT $fields FROM {{$table}}" . $this->where($conditions), $conditions, $strictness);
    }

    public function get_field(string $table, string $return, array $conditions, int $strictness = 0) {
        return $this->get_field_sql("SELECT $return FROM {{$table}}" . $this->where($conditions), $conditions, $strictness);
    }

    public function record_exists(string $table, array $conditions): bool {
        return $this->get_field($table, 'id', $conditions) !== false;
    }

    public function count_records(string $table, ?array $conditions = null): int {
        return (int)$this->get_field($table, 'COUNT(1)', (array)$conditions);
    }

    public function insert_record(string $table, $record, bool $returnid = true) {
        $record = (array)$record;
        $names = array_keys($record);
        $this->execute("INSERT INTO {{$table}} (" . implode(',', $names) . ') VALUES (:' . implode(',:', $names) . ')', $record);
        return $returnid ? $this->last_id($table) : true;
    }

    public function update_record(string $table, $record): bool {
        $record = (array)$record;
        $sets = array_map(fn($name) => "$name = :$name", array_diff(array_keys($record), ['id']));
        return $this->execute("UPDATE {{$table}} SET " . implode(', ', $sets) . ' WHERE id = :id', $record);
    }

    public function set_field(string $table, string $field, $value, ?array $conditions = null): bool {
        return $this->execute("UPDATE {{$table}} SET $field = :newvalue" . $this->where((array)$conditions),
            ['newvalue' => $value] + (array)$conditions);
    }

    public function delete_records(string $table, ?array $conditions = null): bool {
        return $this->execute("DELETE FROM {{$table}}" . $this->where((array)$conditions), $conditions);
    }

    /** Names without prefix of the tables whose names begin with it. */
    public function get_tables(): array {
        $sql = $this->get_dbfamily() === 'postgres'
            ? "SELECT relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = current_schema() AND relkind = 'r'"
            : 'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()';
        $names = array_filter(array_keys($this->get_records_sql($sql)), fn($name) => str_starts_with($name, $this->prefix));
        $names = array_map(fn($name) => substr($name, strlen($this->prefix)), $names);
        return array_combine($names, $names);
    }

    public function get_columns(string $table): array {
        return array_keys($this->get_records_sql("SELECT column_name AS name FROM information_schema.columns WHERE table_name = ? AND
            table_schema = " . ($this->get_dbfamily() === 'postgres' ? 'current_schema()' : 'DATABASE()'), [$this->prefix . $table]));
    }

    public function get_manager(): database_manager {
        global $CFG;
        require_once("$CFG->libdir/ddllib.php");
        return new database_manager($this);
    }
}

class pgsql_native_moodle_database extends moodle_database {
    private $pgsql;

    public function get_dbfamily(): string {
        return 'postgres';
    }

    public function connect(string $host, string $user, string $pass, string $name, array $options): void {
        if ($this->prefix === '') {
            throw new dml_exception('prefixcannotbeempty', 'postgres');
        }
        $pass = addcslashes($pass, "'\\");
        $port = $options['dbport'] ?? '' ?: 5432;
        $connection = "host='$host' port ='$port' user='$user' password='$pass' dbname='$name'";
        if (!empty($options['connecttimeout'])) {
            $connection .= " connect_timeout=$options[connecttimeout]";
        }
        if (empty($options['dbhandlesoptions'])) {
            $schema = empty($options['dbschema']) ? '' : ' -c search_path=' . addcslashes($options['dbschema'], "'\\");
            $connection .= " options='--client_encoding=utf8 --standard_conforming_strings=on$schema'";
        }
        if (isset($options['ssl'])) {
            if (!in_array($options['ssl'], ['disable', 'prefer', 'require', 'verify-full'], true)) {
                throw new moodle_exception('generalexceptionmessage', 'admin', '', "'dboptions''ssl': $options[ssl]");
            }
            $connection .= " sslmode=$options[ssl]";
        }
        ob_start();
        try {
            $this->pgsql = pg_connect($connection, PGSQL_CONNECT_FORCE_NEW);
        } catch (Exception $e) {
            echo $e->getMessage();
        }
        $error = ob_get_clean();
        if (!$this->pgsql || pg_connection_status($this->pgsql) !== PGSQL_CONNECTION_OK) {
            throw new dml_connection_exception($error);
        }
    }

    public function quote(string $value): string {
        return pg_escape_literal($this->pgsql, $value);
    }

    protected function query(string $sql, array $params, string $errorcode): ?array {
        $sql = $this->finish($sql, $params);
        $result = @pg_query($this->pgsql, $sql);
        if (!$result) {
            throw new dml_exception($errorcode, pg_last_error($this->pgsql) . "\n$sql");
        }
        return pg_fetch_all($result);
    }

    protected function last_id(string $table): int {
        return (int)$this->get_field_sql("SELECT currval('{$this->prefix}{$table}_id_seq')");
    }

    /** Everything in one transaction and one message: the server may finish it after its client has died. */
    public function change_database_structure(array $sqls): void {
        $sql = $this->finish("BEGIN ISOLATION LEVEL SERIALIZABLE;\n" . implode(";\n", $sqls) . ";\nCOMMIT", []);
        if (!@pg_query($this->pgsql, $sql)) {
            $error = pg_last_error($this->pgsql);
            @pg_query($this->pgsql, 'ROLLBACK');
            throw new ddl_change_structure_exception('ddlexecuteerror', $error);
        }
    }
}

class mysqli_native_moodle_database extends moodle_database {
    private ?mysqli $mysqli;

    public function get_dbfamily(): string {
        return 'mysql';
    }

    public function connect(string $host, string $user, string $pass, string $name, array $options): void {
        mysqli_report(MYSQLI_REPORT_OFF);
        $this->mysqli = mysqli_init();
        if (!empty($options['connecttimeout'])) {
            $this->mysqli->options(MYSQLI_OPT_CONNECT_TIMEOUT, $options['connecttimeout']);
        }
        $flags = 0;
        if (isset($options['ssl'])) {
            if (!in_array($options['ssl'], ['require', 'verify-full'], true)) {
                throw new moodle_exception('generalexceptionmessage', 'error', '', "Invalid 'dboptions''ssl' value '$options[ssl]'");
            }
            $flags = MYSQLI_CLIENT_SSL | ($options['ssl'] === 'verify-full' ? MYSQLI_CLIENT_SSL_VERIFY_SERVER_CERT : 0);
        }
        $port = (int)($options['dbport'] ?? 0) ?: 3306;
        if (!@$this->mysqli->real_connect($host, $user, $pass, $name, $port, $options['dbsocket'] ?? '' ?: null, $flags)) {
            throw new dml_connection_exception("{$this->mysqli->connect_error} ({$this->mysqli->connect_errno})");
        }
        $this->mysqli->set_charset(explode('_', $options['dbcollation'] ?? 'utf8mb4')[0]);
        $this->mysqli->query("SET SESSION sql_mode = 'STRICT_ALL_TABLES'");
    }

    public function quote(string $value): string {
        return "'" . $this->mysqli->real_escape_string($value) . "'";
    }

    protected function query(string $sql, array $params, string $errorcode): ?array {
        $sql = $this->finish($sql, $params);
        $result = $this->mysqli->query($sql);
        if ($result === false) {
            throw new dml_exception($errorcode, "{$this->mysqli->error}\n$sql");
        }
        return is_bool($result) ? null : array_map('array_change_key_case', $result->fetch_all(MYSQLI_ASSOC));
    }

    protected function last_id(string $table): int {
        return (int)$this->mysqli->insert_id;
    }

    /** Each statement commits by itself, all go in one message: the server may go on after its client has died. */
    public function change_database_structure(array $sqls): void {
        $ok = $this->mysqli->multi_query($this->finish(implode(";\n", $sqls), []));
        while ($ok && $this->mysqli->more_results()) {
            $ok = $this->mysqli->next_result();
        }
        if (!$ok) {
            throw new ddl_change_structure_exception('ddlexecuteerror', $this->mysqli->error);
        }
    }
}
