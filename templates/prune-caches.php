<?php
/* Removes the cache directories of other releases: {dataroot}/cache/mXXXXXXXX, named by the code's plugin hash, so that old and new code never
 * share a cached file. Run by the holder of cron, whose code is the database's: no member with other code serves any more, and to
 * lose a cache is what a purge is. Argument: the code directory. */
define('CLI_SCRIPT', true);
require($argv[1] . '/config.php');
if (!preg_match('~/m[0-9a-f]{8}$~', $CFG->cachedir)) {
    exit(0);
}
foreach (glob(dirname($CFG->cachedir) . '/m????????', GLOB_ONLYDIR) as $dir) {
    if ($dir !== $CFG->cachedir && preg_match('~/m[0-9a-f]{8}$~', $dir) && !is_link($dir)) {
        remove_dir($dir);
        mtrace("Removed the cache of another release, $dir");
    }
}
