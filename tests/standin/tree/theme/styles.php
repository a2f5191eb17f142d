<?php
// Stand-in for theme/styles.php/<theme>/<rev>/<type>: CSS from the local cache, without libraries or database.

define('ABORT_AFTER_CONFIG', true);
require('../config.php');
[$theme, $rev] = array_pad(array_slice(explode('/', $_SERVER['PATH_INFO'] ?? ''), 1), 2, '');
if ($theme !== 'boost' || !preg_match('/^[0-9]+$/', $rev)) {
    header($_SERVER['SERVER_PROTOCOL'] . ' 404 Not Found');
    die('Theme was not found, sorry.');
}
$cached = "$CFG->localcachedir/theme/$rev/boost/css/all.css";
if (!file_exists($cached)) {
    @mkdir(dirname($cached), $CFG->directorypermissions, true);
    copy("$CFG->dirroot/theme/boost/style/moodle.css", "$cached." . getmypid());
    rename("$cached." . getmypid(), $cached);
}
header('Content-Type: text/css; charset=utf-8');
header('Cache-Control: public, max-age=5184000, immutable');
readfile($cached);
