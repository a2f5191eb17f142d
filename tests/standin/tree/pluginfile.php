<?php
// Stand-in for pluginfile.php: the one file that local_standin keeps in moodledata's filedir, by X-Accel-Redirect when set.

require('config.php');
$hash = get_config('local_standin', 'contenthash');
if (($_SERVER['PATH_INFO'] ?? '') !== '/1/local_standin/hello/0/hello.txt' || !$hash) {
    header($_SERVER['SERVER_PROTOCOL'] . ' 404 Not Found');
    echo plain_page('Error', 'Sorry, the requested file could not be found');
    die;
}
$file = "$CFG->dataroot/filedir/" . substr($hash, 0, 2) . '/' . substr($hash, 2, 2) . "/$hash";
session_write_close();
header('Content-Type: text/plain');
header('Content-Disposition: inline; filename="hello.txt"');
foreach (($CFG->xsendfile ?? '') === 'X-Accel-Redirect' ? ($CFG->xsendfilealiases ?? []) : [] as $alias => $dir) {
    if (str_starts_with($file, rtrim($dir, '/') . '/')) {
        header('X-Accel-Redirect: ' . rawurlencode($alias . ltrim(substr($file, strlen($dir)), '/')));
        die;
    }
}
readfile($file);
