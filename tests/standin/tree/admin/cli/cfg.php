<?php
// Stand-in for admin/cli/cfg.php: read, set and unset one setting.

define('CLI_SCRIPT', true);

require(__DIR__ . '/../../config.php');
require_once("$CFG->libdir/clilib.php");

$options = standin_cli_options(['help' => false, 'component' => null, 'name' => null, 'set' => null, 'unset' => false,
    'shell-arg' => false, 'json' => false, 'no-eol' => false], ['h' => 'help']);
$print = fn($value) => $options['shell-arg'] ? escapeshellarg($value) : $value;
if ($options['help']) {
    cli_writeln("Displays the current value of the given site setting. Allows to set it to the given value, too.");
    exit(2);
}
if ($options['unset'] || $options['set'] !== null) {
    if (empty($options['name'])) {
        cli_error('Missing configuration variable name', 2);
    }
    $forced = empty($options['component']) ? $CFG->config_php_settings : ($CFG->forced_plugin_settings[$options['component']] ?? []);
    if (array_key_exists($options['name'], $forced)) {
        cli_error('The configuration variable is hard-set in the config.php, unable to change.', 4);
    }
    set_config($options['name'], $options['set'], $options['component']);
    exit(0);
}
if ($options['name'] === null) {
    $all = get_config($options['component']);
    if ($options['json']) {
        cli_writeln(json_encode($all));
    } else {
        foreach ($all as $name => $value) {
            cli_writeln("$name\t" . $print($value));
        }
    }
    exit(0);
}
$value = get_config($options['component'], $options['name']);
if ($value === false) {
    cli_error('No such configuration variable found.', 3);
}
$value = $options['json'] ? json_encode($print($value)) : $print($value);
fwrite(STDOUT, $value . ($options['no-eol'] ? '' : PHP_EOL));
exit(0);
