<?php
// Stand-in for index.php: the site's front page.

if (!file_exists('./config.php')) {
    header('Location: install.php');
    die;
}
require_once('config.php');
redirect_if_major_upgrade_required();
$isadmin = !empty($USER->id) && in_array($USER->id, explode(',', $CFG->siteadmins));
if (!empty($CFG->maintenance_enabled) && !$isadmin) {
    header($_SERVER['SERVER_PROTOCOL'] . ' 503 Moodle under maintenance');
    echo plain_page('Maintenance', get_string('sitemaintenance', 'admin'));
    die;
}
if ($isadmin && moodle_needs_upgrading()) {
    redirect("$CFG->wwwroot/$CFG->admin/index.php");
}
$site = $DB->get_record('course', ['format' => 'site']);
standin_page(htmlspecialchars($site->fullname ?: 'Moodle'), "<p><a href=\"$CFG->wwwroot/login/index.php\">Log in</a></p>");
