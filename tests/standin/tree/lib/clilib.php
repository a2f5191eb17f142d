<?php
// Stand-in for lib/clilib.php.

function cli_writeln(string $text, $stream = STDOUT): void {
    fwrite($stream, $text . PHP_EOL);
}

function cli_heading(string $text): void {
    fwrite(STDOUT, "== $text ==" . PHP_EOL);
}

function cli_separator(): void {
    fwrite(STDOUT, str_repeat('-', 79) . PHP_EOL);
}

function cli_problem(string $text): void {
    cli_writeln($text, STDERR);
}

function cli_error(string $text, int $errorcode = 1): void {
    cli_writeln($text . PHP_EOL, STDERR);
    die($errorcode);
}

/**
 * Options as Moodle reads them: "--x" is true, "--no-x" false, and "--x=false" the string "false", which is true.
 * @return array the options; ends the script when one is unknown.
 */
function standin_cli_options(array $longoptions, array $short = [], int $unknowncode = 1): array {
    $options = $unrecognized = [];
    foreach (array_slice($_SERVER['argv'], 1) as $raw) {
        if ($raw === '--') {
            break;
        }
        [$key, $value] = explode('=', ltrim($raw, '-'), 2) + [1 => true];
        if (str_starts_with($raw, '--')) {
            if (str_starts_with($key, 'no-') && $value === true && !array_key_exists($key, $longoptions)
                    && array_key_exists(substr($key, 3), $longoptions)) {
                $key = substr($key, 3);
                $value = false;
            }
        } else {
            $key = str_starts_with($raw, '-') ? ($short[$key] ?? null) : null;
        }
        if ($key !== null && array_key_exists($key, $longoptions)) {
            $options[$key] = $value;
        } else {
            $unrecognized[] = $raw;
        }
    }
    if ($unrecognized) {
        cli_error(get_string('cliunknowoption', 'admin', implode("\n  ", $unrecognized)), $unknowncode);
    }
    return $options + $longoptions;
}
