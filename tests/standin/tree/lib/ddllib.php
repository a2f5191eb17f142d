<?php
// Stand-in for lib/ddl: tables from install.xml, the few changes that upgrade steps make, and the schema check.

class database_manager {
    public function __construct(private moodle_database $db) {
    }

    public function install_from_xmldb_file(string $file): void {
        $sqls = [];
        foreach (simplexml_load_file($file)->TABLES->TABLE as $table) {
            $sqls = array_merge($sqls, $this->create_table_sql($table), $this->slow_sql());
        }
        $this->db->change_database_structure($sqls);
    }

    /** standin.json's "ddl_ms" makes the server itself slow, between two tables of the batch. */
    private function slow_sql(): array {
        $seconds = (int)standin_option('ddl_ms', 0) / 1000;
        return $seconds ? [$this->db->get_dbfamily() === 'postgres' ? "SELECT pg_sleep($seconds)" : "DO SLEEP($seconds)"] : [];
    }

    private function create_table_sql(SimpleXMLElement $table): array {
        $pg = $this->db->get_dbfamily() === 'postgres';
        $columns = [$pg ? 'id BIGSERIAL' : 'id BIGINT(10) NOT NULL auto_increment', 'PRIMARY KEY (id)'];
        foreach ($table->FIELD as $field) {
            $columns[] = $this->column_sql((string)$field['NAME'], (string)$field['TYPE'], (int)$field['LENGTH'],
                (string)$field['NOTNULL'] === 'true', isset($field['DEFAULT']) ? (string)$field['DEFAULT'] : null);
        }
        $sqls = ["CREATE TABLE {{$table['NAME']}} (" . implode(', ', $columns) . ')'
            . ($pg ? '' : ' ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 DEFAULT COLLATE = utf8mb4_unicode_ci ROW_FORMAT=Dynamic')];
        foreach ($table->INDEX as $index) {
            $sqls[] = "CREATE UNIQUE INDEX {$this->db->get_prefix()}{$table['NAME']}_{$index['NAME']}_uix ON {{$table['NAME']}} ("
                . $index['FIELDS'] . ')';
        }
        return $sqls;
    }

    private function column_sql(string $name, string $type, int $length, bool $notnull, ?string $default): string {
        $pg = $this->db->get_dbfamily() === 'postgres';
        $sqltype = ['int' => 'BIGINT', 'char' => "VARCHAR($length)", 'text' => $pg ? 'TEXT' : 'LONGTEXT'][$type];
        return "$name $sqltype" . ($notnull ? ' NOT NULL' : '') . ($default === null ? '' : " DEFAULT '$default'");
    }

    public function field_exists(string $table, string $name): bool {
        return in_array($name, $this->db->get_columns($table), true);
    }

    public function add_field(string $table, string $name, string $type, int $length = 0): void {
        if (!$this->field_exists($table, $name)) {
            $this->db->change_database_structure(array_merge(["ALTER TABLE {{$table}} ADD "
                . $this->column_sql($name, $type, $length, false, null)], $this->slow_sql()));
        }
    }

    /** Table name => what is wrong, over the install.xml of core and all plugins. */
    public function check_database_schema(): array {
        global $CFG;
        $errors = [];
        $tables = $this->db->get_tables();
        foreach (array_merge([$CFG->libdir], array_values(\core\component::all_plugins())) as $dir) {
            foreach (is_file("$dir/db/install.xml") ? simplexml_load_file("$dir/db/install.xml")->TABLES->TABLE : [] as $table) {
                $name = (string)$table['NAME'];
                if (!in_array($name, $tables, true)) {
                    $errors[$name][] = 'table is missing';
                    continue;
                }
                $columns = $this->db->get_columns($name);
                foreach ($table->FIELD as $field) {
                    if (!in_array((string)$field['NAME'], $columns, true)) {
                        $errors[$name][] = "column '$field[NAME]' is missing";
                    }
                }
            }
        }
        return $errors;
    }
}
