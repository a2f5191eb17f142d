<?php
defined('MOODLE_INTERNAL') || die();

$definitions = [
    'string' => ['mode' => 1, 'simplekeys' => true, 'simpledata' => true, 'staticacceleration' => true, 'canuselocalstore' => true],
    'config' => ['mode' => 1, 'staticacceleration' => true, 'simpledata' => true],
];
