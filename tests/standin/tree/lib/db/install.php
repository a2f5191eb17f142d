<?php
// First rows of a new site: the names and the order of Moodle 4.5.
defined('MOODLE_INTERNAL') || die();

function xmldb_main_install(): void {
    global $CFG, $DB;
    $DB->insert_record('course', ['fullname' => '', 'shortname' => '', 'summary' => '', 'format' => 'site']);
    $host = parse_url($CFG->wwwroot, PHP_URL_HOST);
    foreach (['rolesactive' => '0', 'auth' => 'email', 'enrol_plugins_enabled' => 'manual,guest,self,cohort', 'theme' => 'boost',
            'siteidentifier' => substr(str_replace(['+', '/'], 'x', base64_encode(random_bytes(24))), 0, 32) . $host,
            'sessiontimeout' => 28800] as $name => $value) {
        set_config($name, $value);
    }
    $user = ['auth' => 'manual'];
    $DB->insert_record('user', ['username' => 'guest', 'password' => hash_internal_user_password('guest'), 'firstname' => 'Guest user',
        'lastname' => ' ', 'email' => 'root@localhost'] + $user);
    set_config('siteguest', $DB->get_field('user', 'id', ['username' => 'guest']));
    $DB->insert_record('user', ['username' => 'admin', 'password' => 'adminsetuppending', 'firstname' => 'Admin', 'lastname' => 'User',
        'email' => ''] + $user);
    set_config('siteadmins', $DB->get_field('user', 'id', ['username' => 'admin']));
    foreach (['themerev', 'jsrev', 'templaterev'] as $name) {
        set_config($name, time());
    }
    \core\task\manager::install_tasks();
}

/** Of some 500 default settings, those that this program or its tests look at. */
function xmldb_default_settings(): void {
    foreach (['lang' => 'en', 'langrev' => time(), 'registerauth' => '', 'maintenance_enabled' => 0, 'cron_enabled' => 1, 'cron_keepalive' => 180,
            'task_scheduled_concurrency_limit' => 3, 'task_scheduled_max_runtime' => 1800, 'task_adhoc_concurrency_limit' => 3,
            'task_adhoc_max_runtime' => 1800] as $name => $value) {
        set_config($name, $value);
    }
}
