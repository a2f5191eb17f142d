"""One adapter a contestant: how to start services under it, and when they are all there."""
import os, shutil, subprocess, time

from place import DEADLINE_S


def package(name):
    out = subprocess.run(['dpkg-query', '-W', '-f', '${Version}', name], capture_output=True, text=True)
    return out.stdout.strip() or '?'


class Contestant:
    """One adapter: how to start `count` services under it, and when they are all there."""
    env = {}
    service = 'service'  # the name of the child that measures act on
    writers = ('service', 'service0', 'service1', 'run')  # the names of its services
    most = 2             # services that it can have
    last = None          # the name of the service that it starts last; None: any
    restarts = True      # starts again what dies
    reaps = True         # gets rid of 20,000 orphans in 15 s
    needs = None         # a program that must be there

    def argv(self, place, count):
        raise NotImplementedError

    def version(self):
        return ''

    def await_ready(self, place, first, count):
        for _ in range(count - 1):
            place.report()


class Shell(Contestant):
    name, what = 'shell', 'sh as PID 1: starts the services, traps SIGTERM, waits'
    restarts = reaps = False
    shell, version_of = '/bin/sh', 'dash'

    def argv(self, place, count):
        service = place.program('service')
        starts = ' '.join(f'{service} & p{i}=$!;' for i in range(count))
        pids = ' '.join(f'$p{i}' for i in range(count))
        return [self.shell, '-c', f"trap 'kill -TERM {pids}' TERM; {starts} wait; wait; exit 0"]

    def version(self):
        return package(self.version_of)


class Bash(Shell):
    name, what, shell, version_of = 'bash', 'the same with bash, the usual entry script', '/bin/bash', 'bash'


class Floor(Contestant):
    name, what = 'floor', 'bench/uvfloor.c, the least a supervisor on libuv can be'
    program, service = 'uvfloor', 'service0'

    def argv(self, place, count):
        return [place.program('floor', self.program)] + [place.program(f'service{i}') for i in range(count)]

    def version(self):
        return 'libuv ' + subprocess.run(['pkg-config', '--modversion', 'libuv'], capture_output=True, text=True).stdout.strip()


class EpollFloor(Floor):
    name, what, program = 'epoll floor', 'bench/floor.c, the least a supervisor can be', 'floor'

    def version(self):
        return '-'


class Wrap(Floor):
    name, what, program, most = 'wrap loop', 'bench/floor.c --wrap: read, wrap as JSON, write, nothing else', 'floor', 1

    def argv(self, place, count):
        return [place.program('floor', self.program), '--wrap'] + [place.program(f'service{i}') for i in range(count)]

    def version(self):
        return '-'


class Tini(Contestant):
    name, what = 'tini', 'tini -g; a second service is started by a shell that then becomes the first'
    needs, options, restarts = 'tini', ['-g', '--'], False

    def argv(self, place, count):
        service = place.program('service')
        if count == 1:
            return [shutil.which(self.needs), *self.options, service]
        return [shutil.which(self.needs), *self.options, '/bin/sh', '-c', f'{service} & ' * (count - 1) + f'exec {service}']

    def version(self):
        return package(self.needs)


class DumbInit(Tini):
    name, what, needs, options = 'dumb-init', 'dumb-init; more services as with tini', 'dumb-init', ['--']


class Catatonit(Tini):
    name, what, needs, options = 'catatonit', 'catatonit; more services as with tini', 'catatonit', ['--']


class Runit(Contestant):
    name, what = 'runit', 'a shell as PID 1 over runsvdir, as Alpine images of PHP do'
    needs, service = 'runsvdir', 'run'

    def argv(self, place, count):
        service = place.program('service')
        for i in range(count):
            (place.dir / f'sv/s{i}').mkdir(parents=True)
            os.symlink(service, place.dir / f'sv/s{i}/run')
            os.utime(place.dir / 'sv', (1, 1))  # runsvdir waits a second for a directory younger than that
        return ['/bin/sh', '-c', f"trap 'sv force-stop {place.dir}/sv/*; kill -HUP $p' TERM; runsvdir -P {place.dir}/sv & p=$!; wait; wait; exit 0"]

    def version(self):
        return package('runit')


class Supervisord(Contestant):
    name, what = 'supervisord', 'supervisord in the foreground, the services\' output to its own'
    needs, reaps = 'supervisord', False

    def argv(self, place, count):
        service = place.program('service')
        programs = ''.join(f'[program:s{i}]\ncommand={service}\nstdout_logfile=/dev/fd/1\nstdout_logfile_maxbytes=0\nredirect_stderr=true\n'
                           for i in range(count))
        (place.dir / 'supervisord.conf').write_text(
            f'[supervisord]\nnodaemon=true\nuser=root\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={place.dir}/pid\n{programs}')
        return [shutil.which('supervisord'), '-c', str(place.dir / 'supervisord.conf')]

    def version(self):
        return package('supervisor')


class S6(Contestant):
    name, what = 's6', 's6-svscan as PID 1, one s6-supervise a service, its own SIGTERM handling'
    needs, service, logging = 's6-svscan', 'run', False

    def argv(self, place, count):
        service = place.program('service')
        for i in range(count):
            (place.dir / f'scan/s{i}').mkdir(parents=True)
            os.symlink(service, place.dir / f'scan/s{i}/run')
            if self.logging:
                place.script(f'scan/s{i}/log/run', '#!/bin/sh\nexec s6-log 1\n')
        (place.dir / 'scan/.s6-svscan').mkdir()
        os.symlink('/bin/true', place.dir / 'scan/.s6-svscan/finish')
        return [shutil.which('s6-svscan'), '-t0', str(place.dir / 'scan')]

    def version(self):
        return package('s6')


class S6Log(S6):
    name, what, logging = 's6 with s6-log', 's6, and one s6-log a service that writes to standard output', True


class Moodlectl(Contestant):
    name, what = 'moodlectl', 'moodlectl run, with tiny programs for nginx, PHP-FPM, PHP and the roles'
    service, last, writers = 'nginx', 'php-fpm', ('nginx', 'php-fpm')

    def __init__(self, build):
        self.build = build

    def argv(self, place, count):
        run = place.memory()
        for d in (run / 'www', run / 'state', place.dir / 'local'):
            d.mkdir()
        for name in ('nginx', 'php-fpm', 'php', 'moodlectl-role'):
            place.program(name)
        port = place.port()
        (place.dir / 'listen').write_text(str(port))
        self.env = {
            'MOODLE_URL': 'http://127.0.0.1', 'MOODLE_DATABASE_TYPE': 'pgsql', 'MOODLE_DATABASE_HOST': '127.0.0.1',
            'MOODLE_DATABASE_USER': 'u', 'MOODLE_DATABASE_PASSWORD': 'p', 'MOODLECTL_HTTP_LISTEN': f'127.0.0.1:{port}',
            'MOODLECTL_RUN_DIR': str(run), 'MOODLECTL_LOCAL_DIR': str(place.dir / 'local'), 'MOODLECTL_CRON': 'false',
            'MOODLECTL_NGINX': str(place.dir / 'nginx'), 'MOODLECTL_PHP_FPM': str(place.dir / 'php-fpm'),
            'MOODLECTL_PHP': str(place.dir / 'php'), 'MOODLECTL_LAME_DUCK': '0s', 'MOODLECTL_FPM_STUCK': 'none', 'PATH': '/usr/sbin:/usr/bin:/sbin:/bin',
        }
        return [place.program('moodlectl', 'moodlectl'), 'run']

    def await_ready(self, place, first, count):
        until = time.monotonic() + DEADLINE_S
        while not (place.dir / 'run/state/open').exists():
            if time.monotonic() > until:
                raise TimeoutError('moodlectl does not open the site')
            time.sleep(0.01)

    def version(self):
        out = subprocess.run([str(self.build / 'moodlectl'), 'version'], capture_output=True, text=True).stdout.split('\n')[0]
        return out.replace('moodlectl ', '')


def all_contestants(build):
    """Those whose programs are here, and the names of the others."""
    all_ = [Shell(), Bash(), Floor(), EpollFloor(), Wrap(), Tini(), DumbInit(), Catatonit(), Runit(), S6(), S6Log(), Supervisord(), Moodlectl(build)]
    return [c for c in all_ if not c.needs or shutil.which(c.needs)], sorted({c.needs for c in all_ if c.needs and not shutil.which(c.needs)})
