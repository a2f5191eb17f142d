<?php
defined('MOODLE_INTERNAL') || die();

function xmldb_page_upgrade($oldversion) {
    global $DB;
    $dbman = $DB->get_manager();

    // Releases add steps here.

    return true;
}
