<?php
// Stand-in for admin/index.php: on a database without tables this is the web installer, for whoever comes first.

define('CACHE_DISABLE_ALL', true);
require('../config.php');
require_once("$CFG->libdir/upgradelib.php");
require("$CFG->dirroot/version.php");

if (array_diff(['config', 'course', 'groupings'], $DB->get_tables())) {
    if (empty($_REQUEST['agreelicense']) || empty($_REQUEST['confirmrelease'])) {
        echo plain_page("Installation - Moodle $release", 'Copyright notice: anybody who reads this may install the site. '
            . '<a href="index.php?agreelicense=1&amp;confirmrelease=1&amp;lang=en">Continue</a>');
        die;
    }
    $CFG->version = '';
    install_core($version);
    set_config('release', $release);
    set_config('branch', $branch);
    set_config('adminsetuppending', 1);
    redirect("$CFG->wwwroot/$CFG->admin/index.php");
}
if (empty($CFG->version)) {
    throw new moodle_exception('missingconfigversion', 'debug');
}
if ($version < (float)$CFG->version) {
    throw new moodle_exception('downgradedcore', 'error');
}
if (moodle_needs_upgrading()) {
    echo plain_page('Upgrading Moodle database', "You are about to upgrade from $CFG->version to $version.");
    die;
}
if (empty($USER->id)) {
    redirect("$CFG->wwwroot/login/index.php");
}
standin_page('Notifications', '<p>Moodle ' . htmlspecialchars($release) . '</p>');
