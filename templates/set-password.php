<?php
/* Gives the first administrator the real password after install_database.php, which can take one only as an argument that
 * everybody sees in the process list. Reads {"user":"...","password":"..."} on its standard input; argument: the code directory.
 * The same steps as lib/installlib.php, install_cli_database(). */
define('CLI_SCRIPT', true);
define('NO_UPGRADE_CHECK', true);
require($argv[1] . '/config.php');

$in = json_decode(stream_get_contents(STDIN), true);
if (!is_array($in) || !isset($in['user'], $in['password'])) {
    fwrite(STDERR, "set-password: no user and password on the standard input\n");
    exit(1);
}
$password = $in['password'];
if (is_array($password)) {
    $password = base64_decode($password['b64']);
}
$user = $DB->get_record('user', ['username' => core_text::strtolower($in['user']), 'deleted' => 0]);
if (!$user) {
    fwrite(STDERR, "set-password: there is no user of that name\n");
    exit(1);
}
$DB->set_field('user', 'password', hash_internal_user_password($password), ['id' => $user->id]);
exit(0);
