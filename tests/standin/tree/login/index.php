<?php
// Stand-in for login/index.php: the form, and what it posts.

require('../config.php');
redirect_if_major_upgrade_required();

if (isset($_GET['testsession'])) {
    // The hop after a login proves that the browser keeps the session.
    if ((int)$_GET['testsession'] !== (int)$USER->id) {
        redirect("$CFG->wwwroot/login/index.php");
    }
    redirect("$CFG->wwwroot/");
}
$error = '';
if (isset($_POST['username'], $_POST['password'])) {
    $user = $DB->get_record('user', ['username' => core_text::strtolower(trim($_POST['username'])), 'deleted' => 0]);
    if (hash_equals($SESSION->logintoken ?? '', $_POST['logintoken'] ?? '-') && $user && password_verify($_POST['password'], $user->password)) {
        \core\session\manager::login_user($user);
        redirect("$CFG->wwwroot/login/index.php?testsession=$user->id");
    }
    $error = '<div class="loginerrors" role="alert">' . get_string('invalidlogin') . '</div>';
}
$SESSION->logintoken = $SESSION->logintoken ?? bin2hex(random_bytes(16));
standin_page('Log in to the site', "$error<form class=\"login-form\" action=\"$CFG->wwwroot/login/index.php\" method=\"post\" id=\"login\">
<input type=\"hidden\" name=\"logintoken\" value=\"$SESSION->logintoken\">
<input type=\"text\" name=\"username\" id=\"username\"><input type=\"password\" name=\"password\" id=\"password\">
<button type=\"submit\" id=\"loginbtn\">Log in</button></form>");
