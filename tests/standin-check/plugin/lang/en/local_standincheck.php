<?php
$string['pluginname'] = 'Task of the stand-in check';
