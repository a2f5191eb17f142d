<?php
// Core upgrade steps, in Moodle's form: each changes the schema, then stores its savepoint.
defined('MOODLE_INTERNAL') || die();

function xmldb_main_upgrade($oldversion) {
    global $DB;
    $dbman = $DB->get_manager();

    if ($oldversion < 2024100700.01) {
        $dbman->add_field('course', 'pdfexportfont', 'char', 50);
        upgrade_main_savepoint(true, 2024100700.01);
    }

    // Releases add steps here.

    return true;
}
