<?php
// Stand-in for lib/ajax/service.php: answers 200 with JSON, errors too.

define('AJAX_SCRIPT', true);
require_once(__DIR__ . '/../../config.php');

$requests = json_decode(file_get_contents('php://input'), true);
if ($requests === null) {
    throw new coding_exception('Invalid json in request: ' . json_last_error_msg());
}
$responses = [];
foreach ($requests as $request) {
    if ($request['methodname'] === 'core_session_time_remaining' || $request['methodname'] === 'core_fetch_notifications') {
        $responses[$request['index']] = ['error' => false, 'data' => []];
    } else {
        $responses[$request['index']] = ['error' => true, 'exception' => ['errorcode' => 'invalidrecord',
            'message' => 'Can\'t find data record in database table external_functions.']];
        break;
    }
}
header('Content-Type: application/json; charset=utf-8');
echo json_encode($responses);
