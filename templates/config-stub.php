<?php
/* moodlectl: this config.php is a constant. What varies is rendered into the run directory at each start. */
require (get_cfg_var('moodlectl.run_dir') ?: '/run/moodlectl') . '/config.php';
