<?php
/* The stores of Moodle's cache (MUC), from moodle.json. Read by cacheconfig.php and warm.php. Modes: 1 application, 2 session,
 * 4 request. The prefix names the code's plugin set, so that old and new code never share a cached object. */
return function () {
    $m = json_decode(file_get_contents(__DIR__ . '/moodle.json'), true);
    array_walk($m, $decode = function (&$v) use (&$decode) {
        if (is_array($v)) {
            isset($v['b64']) ? $v = base64_decode($v['b64']) : array_walk($v, $decode);
        }
    });
    $lock = 'cachelock_file_default';
    $store = function ($name, $plugin, $features, $modes, $configuration = [], $default = true) use ($lock) {
        return ['name' => $name, 'plugin' => $plugin, 'class' => "cachestore_$plugin", 'configuration' => $configuration,
            'features' => $features, 'modes' => $modes, 'mappingsonly' => false, 'default' => $default, 'lock' => $lock];
    };
    $stores = [
        'default_application' => $store('default_application', 'file', 30, 3),
        'default_session' => $store('default_session', 'session', 14, 2),
        'default_request' => $store('default_request', 'static', 31, 4),
    ];
    $application = 'default_application';
    $session = 'default_session';
    if ($r = $m['redis']) {
        $configuration = [
            'server' => $r['host'] . ':' . $r['port'],
            'prefix' => $r['muc_prefix'],
            'password' => $r['user'] === '' ? $r['password'] : [$r['user'], $r['password']],
            'serializer' => 1,
            'compressor' => 0,
            'clustermode' => false,
            'connectiontimeout' => 3,
        ];
        if ($r['tls']) {
            $configuration += ['encryption' => true, 'cafile' => $r['ca']];
        }
        $stores = ['redis_app' => $store('redis_app', 'redis', 26, 3, $configuration, false)] + $stores;
        $application = $session = 'redis_app';
    }
    return [
        'stores' => $stores,
        'modemappings' => [
            ['store' => $application, 'mode' => 1, 'sort' => 0],
            ['store' => $session, 'mode' => 2, 'sort' => 0],
            ['store' => 'default_request', 'mode' => 4, 'sort' => 0],
        ],
        // maxlife: without it the lock file of a killed process blocks every later change (cache/locks/file/lib.php)
        'locks' => [$lock => ['name' => $lock, 'type' => 'cachelock_file', 'dir' => 'filelocks', 'default' => true, 'maxlife' => 60]],
    ];
};
