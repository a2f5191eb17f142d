<?php
/* Moodle's cache (MUC) configuration to begin with; moodlectl copies it to muc/cacheconfig.php in the run directory, and Moodle rewrites
 * that copy with its cache definitions (cache/classes/factory.php). Moodle includes it inside a function. */
defined('MOODLE_INTERNAL') || die();
$configuration = (require __DIR__ . '/../muc-stores.php')() + [
    'siteidentifier' => 'moodlectl',
    'definitions' => [],
    'definitionmappings' => [],
];
