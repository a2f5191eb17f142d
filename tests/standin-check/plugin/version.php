<?php
defined('MOODLE_INTERNAL') || die();

$plugin->version = 2024100700;
$plugin->requires = 2023110800;
$plugin->component = 'local_standincheck';
