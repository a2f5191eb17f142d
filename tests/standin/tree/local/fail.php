<?php
// Addition of the stand-in: a page that says what PHP and Moodle say when something is wrong, and ends with an exception.

define('NO_MOODLE_COOKIES', true);
require('../config.php');
error_reporting(E_ALL);
// debugging() of lib/weblib.php with the display switched off
error_log("Debugging: something old in \n* line 12 of /lib/x.php: call to debugging()\n* line 3 of /y.php: call to z()\n");
trigger_error('watch out', E_USER_WARNING);
restore_exception_handler();
try {
    throw new RuntimeException("inner,\nof two lines");
} catch (RuntimeException $e) {
    throw new LogicException('outer', 1, $e);
}
