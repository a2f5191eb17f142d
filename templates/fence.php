<?php
/* The fence of a moodlectl job. config.php includes this file after lib/setup.php; it does something only in a command line
 * script that a role of moodlectl started (MOODLECTL_FENCE is set, see coord/lease_evict.c).
 *
 * The script's own database session takes the work lock and only then looks whether its leader is still the newest one. A
 * successor raises the epoch first and then ends whoever owns the work lock, so a late or thawed script can never write
 * beside it, whatever the clocks say. Exit status 75: refused. Moodle never connects again within a script.
 *
 * The words pg_..lock and GET_LOCK in each statement keep Moodle from sending it to a read replica
 * (lib/dml/moodle_read_slave_trait.php, moodle_read_replica_trait.php). */
(function () {
    global $DB;
    $text = PHP_SAPI === 'cli' ? getenv('MOODLECTL_FENCE') : false;
    if ($text === false || $text === '') {
        return;
    }
    $refuse = function ($why) {
        fwrite(STDERR, "moodlectl: this job was refused: $why\n");
        exit(75);
    };
    $f = json_decode($text, true);
    if (!is_array($f) || empty($DB)) {
        $refuse('no fence, or no database session');
    }
    $pg = $DB->get_dbfamily() === 'postgres';
    $until = microtime(true) + $f['wait_ms'] / 1000;
    while (true) {
        $got = $pg
            ? $DB->get_field_sql('SELECT CASE WHEN pg_try_advisory_lock(?, ?) THEN 1 ELSE 0 END', [$f['key1'], $f['key2']])
            : $DB->get_field_sql('SELECT GET_LOCK(?, 0)', [$f['name']]);
        if ((int)$got === 1) {
            break;
        }
        if (microtime(true) >= $until) {
            $refuse('another session holds the work lock');
        }
        usleep(250000);
    }
    if ($pg) {
        // A statement of a killed script ends within seconds. PostgreSQL 14 and later know the setting.
        $DB->get_field_sql("SELECT set_config(name, '2000', false) /* pg_lock */ FROM pg_settings
                             WHERE name = 'client_connection_check_interval'");
    }
    // A failover that loses the last raise of the epoch gives the same number again, but not to the same holder.
    $newest = $DB->get_field_sql("SELECT concat(epoch, ' of ', holder) FROM {$f['table']} WHERE site = ? AND purpose = ? /* pg_lock GET_LOCK */",
        [$f['site'], $f['purpose']]);
    $own = "{$f['epoch']} of {$f['holder']}";
    if ($newest !== $own) {
        $refuse("its epoch is $own, the cluster's is $newest");
    }
    // Moodle's default debug level hides even why PHP itself ends a script, such as memory_limit. The log must have it.
    error_reporting(error_reporting() | E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR);
    ini_set('log_errors', '1');
})();
