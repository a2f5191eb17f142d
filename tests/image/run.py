#!/usr/bin/env python3
"""Builds the image with podman from the stand-in Moodle and runs three containers of it to a served page and a drain.

run.py [--keep-base]. The base image comes from debootstrap with the machine's own package source, so no registry of images is
needed. Everything lives in build/image. Exit status 77: podman cannot run containers here."""
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
from lib.case import check, equal  # noqa: E402
from lib.member import http_get  # noqa: E402
from lib.proc import CLEAN_ENV, Block, Failure, RunFolder, exit_on_signals, run, wait_for  # noqa: E402
from lib.servers import HAProxy, Postgres, Redis  # noqa: E402
from lib.site import TOP, Load  # noqa: E402

BASE = "docker.io/library/debian:bookworm-slim"
IMAGE = "localhost/moodlectl-test"
WORK = os.path.join(TOP, "build", "image")
# Limits that fit into those of a container in which these tests may themselves run
CONF = """[containers]
default_ulimits = ["nofile=10000:10000", "nproc=8192:8192"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


class Podman:
    def __init__(self):
        os.makedirs(WORK, exist_ok=True)
        conf = os.path.join(WORK, "containers.conf")
        with open(conf, "w") as f:
            f.write(CONF)
        self.env = {**{k: v for k, v in os.environ.items() if "proxy" in k.lower()}, "CONTAINERS_CONF": conf}
        self.words = ["podman", f"--root={WORK}/storage", f"--runroot={WORK}/run"]

    def __call__(self, *words, seconds=60, check=True, env=None):
        return run(self.words + list(words), seconds=seconds, check=check, env={**self.env, **(env or {})})

    def shown(self, *words, seconds=1500):
        """With its output passed on, for what takes long."""
        p = subprocess.run(self.words + list(words), env={**CLEAN_ENV, **self.env}, timeout=seconds, stdin=subprocess.DEVNULL)
        if p.returncode != 0:
            raise Failure(f"podman {words[0]}: status {p.returncode}")


def mirror():
    """The first address of Debian's packages that this machine uses."""
    text = run(["sh", "-c", "cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null || true"]).stdout
    for line in text.splitlines():
        found = re.match(r"\s*(?:URIs:|deb(?: \[[^]]*\])?)\s+(\S+)", line)
        if found and "security" not in found.group(1):
            return found.group(1)
    raise Failure("no package source in /etc/apt")


def base_image(podman):
    """A Debian 12 that can stand for the official slim image."""
    if podman("image", "exists", BASE, check=False).returncode == 0:
        return
    root = os.path.join(WORK, "rootfs")
    shutil.rmtree(root, ignore_errors=True)
    print(f"debootstrap into {root}", flush=True)
    env = {k: v for k, v in os.environ.items() if "proxy" in k.lower()}
    run(["debootstrap", "--variant=minbase", "bookworm", root, mirror()], seconds=900, env=env)
    tar = os.path.join(WORK, "base.tar")
    run(["tar", "-C", root, "--exclude=./dev/*", "--exclude=./var/cache/apt/archives/*.deb", "-cf", tar, "."], seconds=300)
    podman("import", tar, BASE, seconds=300)
    os.unlink(tar)
    shutil.rmtree(root, ignore_errors=True)


def can_run(podman):
    """None, or why containers cannot be run here."""
    if not shutil.which("podman") or not shutil.which("debootstrap"):
        return "podman or debootstrap is not installed"
    p = podman("run", "--rm", "--network", "host", BASE, "true", check=False, seconds=60)
    return None if p.returncode == 0 else f"podman cannot run a container: {p.stderr.strip().splitlines()[-1:]}"


def build(podman):
    """The packages come from where this machine has them: its configuration of apt is there during the build only."""
    extra = ["--volume", "/etc/apt:/etc/apt:ro"]
    began = time.monotonic()
    podman.shown("build", "--network", "host", "--format", "oci", "--layers", *extra, "--build-arg", "MOODLE_TREE=tests/standin/tree", "-t", IMAGE, TOP)
    print(f"built in {time.monotonic() - began:.0f} s", flush=True)


def settings(site, db, redis, listen, member):
    return {"MOODLE_URL": site, "MOODLE_DATABASE_TYPE": db.kind, "MOODLE_DATABASE_HOST": db.host, "MOODLE_DATABASE_PORT_NUMBER": str(db.port),
            "MOODLE_DATABASE_NAME": "moodle", "MOODLE_DATABASE_USER": db.db_user, "MOODLE_DATABASE_PASSWORD": db.password,
            "MOODLE_PASSWORD": "Of-the-image-test-1", "MOODLE_EMAIL": "admin@example.org", "MOODLE_REDIS_HOST": redis.host,
            "MOODLE_REDIS_PORT_NUMBER": str(redis.port), "MOODLE_REDIS_PASSWORD": redis.password, "MOODLECTL_HTTP_LISTEN": listen,
            "MOODLECTL_MEMBER": member, "MOODLECTL_LAME_DUCK": "3s", "MOODLECTL_FPM_CHILDREN": "3"}


class Container:
    def __init__(self, podman, name, data, env):
        self.podman, self.name = podman, name
        podman("run", "-d", "--name", name, "--network", "host", "--read-only", "--read-only-tmpfs=false", "--tmpfs", "/run/moodlectl:rw,mode=0755",
               "--tmpfs", "/var/cache/moodlectl:rw,mode=0755", "--tmpfs", "/tmp:rw,mode=1777", "--volume", f"{data}:/var/www/moodledata",
               *[w for k in env for w in ("--env", k)], IMAGE, env=env)

    def logs(self):
        p = self.podman("logs", self.name, check=False)
        return p.stdout + p.stderr

    def state(self):
        return self.podman("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", self.name).stdout.split()

    def remove(self):
        self.podman("rm", "-f", "-t", "1", self.name, check=False)


def the_image_holds_no_secret(podman):
    shown = podman("inspect", IMAGE).stdout
    check("PASSWORD" not in shown, "the image's configuration names a password")
    equal(podman("inspect", "--format", "{{.Config.StopSignal}}", IMAGE).stdout.strip().replace("SIGTERM", "15"), "15", "stop signal")
    p = podman("run", "--rm", "--network", "host", IMAGE, "sh", "-c", "ls /run/moodlectl; test ! -w /proc/sysrq-trigger; cat /etc/moodlectl/code.json; id -u")
    check('"version"' in p.stdout, f"code.json: {p.stdout}")
    p = podman("run", "--rm", "--network", "host", IMAGE, "config", "check", check=False)
    equal(p.returncode, 78, f"config check without settings ({p.stdout}{p.stderr})")
    check("MOODLE_URL" in p.stdout + p.stderr, "it does not say what is missing")


def three_containers(podman, folder):
    block = Block()
    db, redis = Postgres(folder).start(), Redis(folder, password="redis pass").start()
    db.create("moodle")
    data = folder.make("moodledata", "www-data", 0o770)
    url = f"http://{block.address(1)}:{block.port}"
    names = [f"moodlectl-{os.getpid()}-{n}" for n in (1, 2, 3)]
    containers = []
    folder.undo.append(lambda: [c.remove() for c in containers])
    try:
        for n, name in enumerate(names, 1):
            containers.append(Container(podman, name, data, settings(url, db, redis, f"{block.address(10 + n)}:{block.port}", f"m{n}")))
        for n, c in enumerate(containers, 1):
            wait_for(f"container {n} serves the login page", lambda n=n: http_get(block.address(10 + n), block.port, "/login/index.php", headers={"Host": url.split("//")[1]}).status == 200, 120, 0.3)
            check('"msg"' in c.logs(), "no log on standard output")
        runs = db.sql("SELECT action, result FROM sup_run WHERE purpose = 'deploy'")
        equal(runs, "install|ok", "deployments in the database")
        p = podman("exec", names[1], "moodlectl", "status")
        check("SERVE" in p.stdout, f"status: {p.stdout}{p.stderr}")
        front = HAProxy(folder, (block.address(1), block.port), {f"m{n}": (block.address(10 + n), block.port) for n in (1, 2, 3)}).start()
        wait_for("HAProxy sees three", lambda: list(front.states().values()) == ["UP"] * 3, 20)
        with Load(block.address(1), block.port) as load:
            time.sleep(2)
            podman("stop", "-t", "40", names[0])
            time.sleep(1)
        equal(containers[0].state(), ["exited", "0"], "state of the stopped container")
        equal(load.failed, {}, f"requests that failed during the drain ({load.summary()})")
        check("drain.end" in containers[0].logs(), "no report of the drain")
        print(f"drain: {load.summary()}")
    except Failure:
        for c in containers:
            print(f"---- {c.name} {c.state()}\n{c.logs()[-4000:]}")
        raise


def main():
    exit_on_signals()
    podman = Podman()
    results = []
    with RunFolder() as folder:
        if shutil.which("podman") and shutil.which("debootstrap"):
            base_image(podman)
        why_not = can_run(podman)
        if why_not:
            print(why_not)
            return 77
        for name, test in (("the image builds", lambda: build(podman)), ("the image holds no secret", lambda: the_image_holds_no_secret(podman)),
                           ("three containers serve and drain", lambda: three_containers(podman, folder))):
            began = time.monotonic()
            try:
                test()
                results.append(True)
            except (Failure, OSError, subprocess.SubprocessError) as e:
                results.append(False)
                print(e)
            print(f"{'ok  ' if results[-1] else 'FAIL'} {time.monotonic() - began:6.1f} s  {name}", flush=True)
            if not results[-1]:
                break
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed, 0 skipped")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
