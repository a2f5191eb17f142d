<?php
// Stand-in for admin/cli/upgrade.php.

define('CLI_SCRIPT', true);
define('CACHE_DISABLE_ALL', true);

require(__DIR__ . '/../../config.php');
require_once("$CFG->libdir/upgradelib.php");
require_once("$CFG->libdir/clilib.php");

$options = standin_cli_options(['allow-unstable' => false, 'help' => false, 'is-maintenance-required' => false, 'is-pending' => false,
    'lang' => 'en', 'maintenance' => true, 'non-interactive' => false, 'set-ui-upgrade-lock' => false, 'unset-ui-upgrade-lock' => false,
    'verbose-settings' => false], ['h' => 'help']);
if ($options['help']) {
    echo "Command line Moodle upgrade (stand-in).\n";
    die;
}
if (empty($CFG->version)) {
    cli_error(get_string('missingconfigversion', 'debug'));
}
require("$CFG->dirroot/version.php");
if ($version < (float)$CFG->version) {
    cli_error(get_string('downgradedcore', 'error'));
}
$oldversion = "$CFG->release ($CFG->version)";
$newversion = "$release ($version)";

if ($options['unset-ui-upgrade-lock']) {
    set_config('outagelessupgrade', false);
    cli_writeln(get_string('cliupgradeunsetlock', 'admin'));
}
$dbchanged = core_component::get_all_component_hash() !== ($CFG->allcomponenthash ?? '');
if (!$options['maintenance']) {
    if ($dbchanged) {
        cli_error(get_string('cliupgrademaintenancerequired', 'core_admin'), 2);
    }
    define('CLI_UPGRADE_RUNNING', true);
    set_config('outagelessupgrade', true);
}
if (!moodle_needs_upgrading(false)) {
    cli_error(get_string('cliupgradenoneed', 'core_admin', $newversion), 0);
}
if ($options['is-pending'] || $options['is-maintenance-required']) {
    if (!$options['is-maintenance-required']) {
        cli_error(get_string('cliupgradepending', 'core_admin'), 2);
    }
    if ($dbchanged) {
        cli_writeln(get_string('cliupgradepending', 'core_admin'));
        cli_error(get_string('cliupgrademaintenancerequired', 'core_admin'), 2);
    }
    if ($options['set-ui-upgrade-lock']) {
        set_config('outagelessupgrade', true);
        cli_writeln(get_string('cliupgradesetlock', 'admin'));
    }
    cli_writeln(get_string('cliupgradepending', 'core_admin'));
    cli_error(get_string('cliupgrademaintenancenotrequired', 'core_admin'), 3);
}

upgrade_environment_check();
if ($maturity < MATURITY_STABLE && !$options['allow-unstable'] && $options['non-interactive']) {
    $name = [MATURITY_ALPHA => 'Alpha', MATURITY_BETA => 'Beta', MATURITY_RC => 'Release candidate'][$maturity];
    cli_problem(get_string('maturitycorewarning', 'admin', $name));
    cli_error(get_string('maturityallowunstable', 'admin'));
}
if (!$options['non-interactive']) {
    echo "Your Moodle files have been changed, and you are about to automatically upgrade your server to this version: $newversion\n"
        . "type y (means yes) or n (means no)\n: ";
    if (trim((string)fgets(STDIN)) !== 'y') {
        exit(1);
    }
}
if ($version > (float)$CFG->version) {
    $options['maintenance'] && cache_helper::purge_all(true);
    upgrade_core($version);
}
set_config('release', $release);
set_config('branch', $branch);
upgrade_noncore();
cli_heading(get_string('cliupgradedefaultheading', 'admin'));
standin_step('settings');
upgrade_themes();
echo get_string('cliupgradefinished', 'admin', (object)['oldversion' => $oldversion, 'newversion' => $newversion]) . "\n";
if (!$options['maintenance']) {
    cli_writeln(get_string('cliupgradecompletenomaintenanceupgrade', 'admin'));
    $options['set-ui-upgrade-lock'] || set_config('outagelessupgrade', false);
}
exit(0);
