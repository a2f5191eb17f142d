<?php
defined('MOODLE_INTERNAL') || die();

$definitions = ['visits' => ['mode' => 1, 'simplekeys' => true]];
