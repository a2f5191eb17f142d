<?php
// Stand-in for admin/cli/check_database_schema.php: missing tables and columns.

define('CLI_SCRIPT', true);

require(__DIR__ . '/../../config.php');
require_once("$CFG->libdir/clilib.php");

standin_cli_options(['help' => false], ['h' => 'help']);
if (empty($CFG->version)) {
    echo "Database is not yet installed.\n";
    exit(2);
}
if (!$errors = $DB->get_manager()->check_database_schema()) {
    echo "Database structure is ok.\n";
    exit(0);
}
foreach ($errors as $table => $items) {
    cli_separator();
    echo "$table\n * " . implode("\n * ", $items) . "\n";
}
cli_separator();
exit(1);
