"""The same nginx and PHP-FPM, with the same files, under the usual inits and supervisors (bench/contestants.py) instead of moodlectl.

`moodlectl run -- COMMAND` renders the files and then becomes the command, so a peer is process 1 of an equal member. What a peer starts is one
script: its first instance becomes PHP-FPM, the second nginx."""
import os
import pathlib
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench"))
from contestants import Bash, Catatonit, DumbInit, Runit, S6, Supervisord, Tini  # noqa: E402

SERVICE = """#!/bin/sh
if mkdir {dir}/first 2>/dev/null; then
    exec {fpm} --nodaemonize --fpm-config /run/moodlectl/php-fpm.conf -c /run/moodlectl/php.ini
fi
exec /usr/sbin/nginx -e stderr -c /run/moodlectl/nginx.conf
"""
# nobody but moodlectl tells nginx by files what it may do: here it may all from the first moment
WRAP = 'touch /run/moodlectl/state/open /run/moodlectl/state/ready; exec "$@"'
PEERS = {"bash": (Bash, "TERM"), "tini -g": (Tini, "TERM"), "tini -g, QUIT": (Tini, "QUIT"), "dumb-init": (DumbInit, "TERM"), "dumb-init, QUIT": (DumbInit, "QUIT"),
         "catatonit": (Catatonit, "TERM"), "runit": (Runit, "TERM"), "s6": (S6, "TERM"), "supervisord": (Supervisord, "TERM")}


class Place:
    """What bench/place.py's Place is to an adapter, for a member."""

    def __init__(self, folder):
        self.dir = pathlib.Path(folder)

    def program(self, name, _tool="service"):
        fpm = next(p for p in sorted(os.listdir("/usr/sbin"), reverse=True) if p.startswith("php-fpm"))
        return self.script(name, SERVICE.format(dir=self.dir, fpm=f"/usr/sbin/{fpm}"))

    def script(self, name, text):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return str(path)


def command(name, folder):
    """The words behind `moodlectl` that make a member of this peer."""
    return ["run", "--", "/bin/sh", "-c", WRAP, "wrap", *PEERS[name][0]().argv(Place(folder), 2)]


def is_here(name):
    needs = PEERS[name][0].needs
    return not needs or any(os.access(f"{d}/{needs}", os.X_OK) for d in ("/usr/bin", "/usr/sbin", "/bin", "/sbin"))
