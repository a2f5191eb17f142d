"""The faults. Each is a small generator: what it does before `yield` happens at the moment of the fault, what comes after it heals.

formula: which worst case of the protocol holds for the next child's start (see worst_ms); None: the leader may stay.
dies: the member is gone and is started again, as an orchestrator does. from_end: the time counts from the healing, because nobody
can lead before. hold: seconds between the fault and its healing (a fault with a formula is healed earlier, when somebody else works)."""
import signal
from collections import namedtuple

from cluster import CONNECTIONS, now_ms
from lib.proc import send, wait_for

Fault = namedtuple("Fault", "name act formula dies from_end hold kinds situations")
FAULTS = {}
ALL = ("cron", "upgrade", "install")


def fault(name, formula=None, dies=False, from_end=False, hold=(0, 0), kinds=("pgsql", "mariadb"), situations=ALL):
    def mark(act):
        FAULTS[name] = Fault(name, act, formula, dies, from_end, hold, kinds, situations)
        return act
    return mark


def worst_ms(formula, purpose, scale):
    """How late the next child may start, by the times of coord/lease.c. The server's idle timeout is rounded up to whole seconds."""
    poll = 12500 if purpose == "cron" else 1250
    idle = -(-10000 * scale // 100 // 1000) * 1000
    silent = idle + (poll + 200) * scale // 100
    # the last heartbeat still reaches the server when only its answer is lost
    return {"stop": poll * scale // 100, "kill": (8000 + poll) * scale // 100, "silent": silent, "answers": silent + 2000 * scale // 100}[formula]


class Scene:
    """What a fault gets: the cluster, the member that leads `purpose`, dice."""

    def __init__(self, cluster, victim, purpose, dice):
        self.c, self.victim, self.purpose, self.dice = cluster, victim, purpose, dice
        self.others = [m for m in cluster.members if m is not victim]
        self.back_ms = None  # when the database was back, if that is where the time begins
        self.role = "cron" if purpose == "cron" else "lead"


# ---- the member and its processes ---------------------------------------------------------------------------------------

@fault("SIGTERM to the member", formula="stop", dies=True)
def stop(s):
    s.victim.signal(signal.SIGTERM)
    yield


@fault("kill -9 of the whole member", formula="kill", dies=True)
def kill_tree(s):
    s.victim.kill9()
    yield


@fault("kill -9 of moodlectl alone", formula="kill", dies=True, hold=(20, 20))
def kill_moodlectl(s):
    """Process 1 takes all with it; below an init, which is stopped here so that it does not, the others must end by themselves."""
    if not s.victim.pid1:
        send(s.victim.init_pid, signal.SIGSTOP)
    send(s.victim.pid, signal.SIGKILL)
    yield
    s.victim.kill9()


@fault("kill -9 of the role")
def kill_role(s):
    s.c.signal(s.victim, s.role, signal.SIGKILL)
    yield


@fault("kill -9 of the keeper")
def kill_keeper(s):
    s.c.signal(s.victim, "keeper", signal.SIGKILL)
    yield


@fault("kill -9 of the PHP child")
def kill_php(s):
    s.c.signal(s.victim, "php", signal.SIGKILL)
    yield


@fault("SIGSTOP of the role alone", formula="silent", hold=(20, 20))
def hang_role(s):
    s.c.signal(s.victim, s.role, signal.SIGSTOP)
    yield
    s.c.signal(s.victim, s.role, signal.SIGCONT)


@fault("the whole member frozen, thawed child first", formula="silent", hold=(20, 20))
def freeze_tree(s):
    s.victim.freeze()
    yield
    s.c.thaw(s.victim)


@fault("the whole member frozen for a moment", hold=(0.2, 3))
def freeze_short(s):
    s.victim.freeze()
    yield
    s.c.thaw(s.victim)


# ---- the network ------------------------------------------------------------------------------------------------------

@fault("silent cut", formula="silent", hold=(20, 20))
def cut(s):
    s.c.net.cut(s.victim.number)
    yield
    s.c.net.heal()


@fault("one-way cut: requests lost", formula="silent", hold=(20, 20))
def cut_requests(s):
    s.c.net.cut(s.victim.number, answers=False)
    yield
    s.c.net.heal()


@fault("one-way cut: answers lost", formula="answers", hold=(20, 20))
def cut_answers(s):
    s.c.net.cut(s.victim.number, requests=False)
    yield
    s.c.net.heal()


@fault("the host vanishes (cut, then killed)", formula="silent", dies=True, hold=(20, 20))
def vanish(s):
    s.c.net.cut(s.victim.number)
    s.victim.kill9()
    yield
    s.c.net.heal()


@fault("short cut", hold=(0.2, 2))
def cut_short(s):
    s.c.net.cut(s.victim.number)
    yield
    s.c.net.heal()


@fault("delay and loss", hold=(3, 8))
def slow(s):
    s.c.net.slow(s.victim.number, s.dice.randint(20, 1500), s.dice.randint(0, 30), s.dice.randint(0, 1 << 30))
    yield
    s.c.net.heal()


# ---- sessions and the row -----------------------------------------------------------------------------------------------

def sleep(s, seconds):
    return f"SELECT pg_sleep({seconds})" if s.c.kind == "pgsql" else f"DO SLEEP({seconds})"


def end_session(s, which):
    db, name = s.c.site.db, f"{s.purpose}.{which}"
    if s.c.kind == "pgsql":
        s.c.site.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'moodlectl-{name.replace('.', '-')}'"
                     " AND datname = current_database()")
        return
    owner = s.c.site.sql(f"SELECT COALESCE(IS_USED_LOCK(CONCAT('msup.', LEFT(SHA2(CONCAT(LOWER(DATABASE()), CHAR(0), 'mdl_'), 256), 40), '.{name}')), 0)")
    db.sql(f"KILL {owner}", check=False, db="")


@fault("lead session ended by an administrator")
def end_lead(s):
    end_session(s, "lead")
    yield


@fault("the script's session ended by an administrator")
def end_work(s):
    end_session(s, "work")
    yield


@fault("lead session ended again and again", hold=(4, 6))
def end_lead_often(s):
    for _ in range(5):
        end_session(s, "lead")
        wait_for("a moment", lambda: True, 1, pause=0.1)
    yield


@fault("FOR UPDATE on the row", hold=(3, 12))
def lock_row(s):
    begin = f"BEGIN; SELECT epoch FROM sup_coord WHERE purpose = '{s.purpose}' FOR UPDATE; "
    with s.c.clients(1, begin + sleep(s, 14)):
        yield


@fault("epoch in the row lowered by hand", situations=("cron",))
def edit_epoch(s):
    s.c.site.sql(f"UPDATE sup_coord SET epoch = epoch - 1 WHERE purpose = '{s.purpose}'")
    yield


@fault("holder in the row changed by hand")
def edit_holder(s):
    s.c.site.sql(f"UPDATE sup_coord SET holder = 'somebody' WHERE purpose = '{s.purpose}'")
    yield


@fault("row deleted by hand", situations=("cron",))
def edit_delete(s):
    s.c.site.sql(f"DELETE FROM sup_coord WHERE purpose = '{s.purpose}'")
    yield


# ---- the database server ----------------------------------------------------------------------------------------------

@fault("database restarted, fast", formula="kill", from_end=True)
def restart_fast(s):
    s.c.db.stop()
    yield
    s.c.db.start()


@fault("database killed (immediate) and started", formula="kill", from_end=True)
def restart_immediate(s):
    s.c.db.kill()
    yield
    s.c.db.start()


@fault("database down for long", formula="kill", from_end=True, hold=(6, 10))
def down(s):
    s.c.db.kill()
    yield
    s.c.db.start()


@fault("database frozen", hold=(1, 10), from_end=True)
def freeze_database(s):
    s.c.db.freeze()
    yield
    s.c.db.thaw()


@fault("cut and database restarted", formula="kill", hold=(20, 20))
def cut_restart(s):
    """The leader is not told that its lock is gone."""
    s.c.net.cut(s.victim.number)
    s.c.db.kill()
    s.c.db.start()
    s.back_ms = now_ms()
    yield
    s.c.net.heal()


@fault("database read-only", hold=(2, 10), from_end=True)
def read_only(s):
    s.c.db.set_read_only(True)
    yield
    s.c.db.set_read_only(False)


@fault("max_connections reached", hold=(3, 8))
def connections(s):
    with s.c.clients(CONNECTIONS, sleep(s, 20)):
        yield


@fault("standby promoted, old primary fenced 1 s later", formula="kill", from_end=True, kinds=("pgsql",), situations=("cron",))
def promote(s):
    old = s.c.db
    new = s.c.standby or s.c.add_standby()
    new.promote()
    s.c.point_at(new)
    wait_for("a second", lambda at=now_ms(): now_ms() > at + 1000, 5)
    old.kill()
    yield
    s.c.take(new)


__all__ = ["ALL", "FAULTS", "Fault", "Scene", "worst_ms"]
