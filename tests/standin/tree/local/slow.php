<?php
// Addition of the stand-in: a page that takes ?ms=5000, with a database connection open; &session=1 holds the session lock too.

isset($_GET['session']) || define('NO_MOODLE_COOKIES', true);
require('../config.php');
$ms = min(120000, max(0, (int)($_GET['ms'] ?? 1000)));
standin_sleep($ms);
$DB->get_field_sql('SELECT 1');
header('Content-Type: text/plain');
echo "slept $ms ms\n";
