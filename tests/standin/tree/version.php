<?php
// Stand-in Moodle: the numbers of the real release it imitates.
defined('MOODLE_INTERNAL') || die();

$version = 2024100706.00;
$release = '4.5.6 (Build: 20250811)';
$branch = '405';
$maturity = MATURITY_STABLE;
