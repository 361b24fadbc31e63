"""The rig of the fault tests: a server that may be hurt, the shim, the disk whose power is cut, the
storm of load and faults that the ledger judges, and a small client for exact questions."""
import concurrent.futures
import contextlib
import fcntl
import http.client
import json
import os
import random
import shutil
import signal
import sqlite3
import struct
import subprocess
import threading
import time
import urllib.parse
from pathlib import Path

import server as servers
from server import ROOT, Server, wait_until

FAULTS = Path(os.environ.get("EF_FAULTS", ROOT / "build/faults"))
SHIM = FAULTS / "tests/fault/libfaultshim.so"
ARTIFACTS = Path(os.environ.get("EF_ARTIFACTS", FAULTS / "artifacts"))
IS_SOAK = os.environ.get("EF_SOAK") == "1"
READY_SECONDS = 1  # the promise for a start, whatever happened before
EXIT_FATAL = 75
ATTEMPTS_MAX = 3  # of one event, the default
EXT4_SHUTDOWN, EXT4_SHUTDOWN_NO_FLUSH = 0x8004587D, 2
CAMPAIGN = {"id": "all", "name": "all", "rules": {"event_type": ["purchase"]}}


def rounds(short, soak):
    """How often: `make test` takes the first number, `make soak` the second."""
    return soak if IS_SOAK else short


def broken(name):
    """The program with one promise broken."""
    return FAULTS / "tests/fault" / f"broken_{name}"


def start_seed(default):
    """EF_SEED repeats a run that failed."""
    return int(os.environ.get("EF_SEED", default))


# ---- a server that may be hurt ------------------------------------------------------------------

class FaultServer(Server):
    """`eventflow serve`, maybe another build of it, below a prefix such as strace, with a log
    outside of the folder that breaks."""

    def __init__(self, folder, *flags, binary=None, prefix=(), log=None, env=None):
        super().__init__(folder, *flags, env=env)
        self.starts = 0
        self.binary, self.prefix = str(binary or servers.BINARY), list(prefix)
        self.log_path = Path(log) if log else self.log_path

    def start(self, wait=True):
        self.starts += 1
        command = [*self.prefix, self.binary, "serve", "--listen", f"127.0.0.1:{self.port}",
                   "--metrics-listen", f"127.0.0.1:{self.metrics_port}", "--data",
                   str(self.folder), *self.flags]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log,
                                            env={**os.environ, **self.env})
        if wait:
            wait_until(self.is_ready, "the server to be ready: " + " ".join(command))
        return self

    def start_within(self, seconds):
        """Starts it, and it is ready within that time; returns how long it took."""
        began = time.monotonic()
        self.start(wait=False)
        wait_until(lambda: self.is_ready_within(began + seconds - time.monotonic()),
                   f"the server to be ready: {self.tail()}", seconds)
        return time.monotonic() - began

    def is_ready_within(self, seconds):
        """A start keeps its first requests waiting, so the question itself has a deadline."""
        assert self.process.poll() is None, f"the server ended: {self.tail()}"
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                    timeout=max(seconds, 0.01))
            with contextlib.closing(connection):
                connection.request("GET", "/health/ready")
                return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        """To the program itself, also below a prefix, which ends with it."""
        pids = children_of(self.process.pid) if self.prefix else []
        for pid in pids or [self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait(servers.DEADLINE)

    def stop(self):
        """SIGTERM; returns the exit code."""
        if self.is_running():
            self.signal(signal.SIGTERM)
        return self.process.wait(servers.DEADLINE)

    def freeze(self, states="TtD"):
        """Not one more instruction of it runs afterwards. A thread may still be inside of a system
        call that cannot be interrupted (D); with states="Tt" none is."""
        self.signal(signal.SIGSTOP)
        wait_until(lambda: all(state in states for state in thread_states(self.process.pid)),
                   "all threads to stand still")

    def thaw(self):
        self.signal(signal.SIGCONT)

    def tail(self):
        return self.log()[-3000:]


def thread_states(pid):
    """One letter a thread: R runs, S sleeps, D waits for a disk, T is stopped."""
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            yield path.read_text().rpartition(")")[2].split()[0]


def children_of(pid):
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@contextlib.contextmanager
def running(*server_list):
    """Whatever happens, none of them runs afterwards."""
    try:
        yield server_list[0]
    finally:
        for server in server_list:
            if server.is_running():
                server.kill()


def strace_kill(call, number, log):
    """A prefix: the program gets SIGKILL as one of its threads enters that call for the n-th
    time. (Not with --seccomp-bpf: strace 6.1 then injects nothing.)"""
    return ["strace", "-f", "-o", str(log), "-e", f"trace={call}", "-e", "signal=none", "-e",
            f"inject={call}:signal=SIGKILL:when={number}", "--"]


_ports = threading.Lock()


def make_server(*args, **options):
    """For tests with several threads: no two servers get the same port."""
    with _ports:
        return FaultServer(*args, **options)


def in_parallel(function, items, workers=2):
    """function(item) for all, on both cores; the failures of all of them, together."""
    failures = []

    def guarded(item):
        if len(failures) < 5:
            try:
                function(item)
            except Exception as error:  # pylint: disable=broad-except
                failures.append(f"{item}: {error}")
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        list(pool.map(guarded, items))
    assert not failures, "\n".join(failures)


# ---- the shim -----------------------------------------------------------------------------------

class Shim:
    """The library that lies about the files below a folder; its rules stand in shim.c. env goes to
    the server; set() gives other rules to a server that runs."""

    def __init__(self, folder, work, rules="", name="shim"):
        assert SHIM.exists(), f"{SHIM} is not built: make test builds it"
        self.control, self.log = Path(work) / f"{name}.rules", Path(work) / f"{name}.faults"
        self.set(rules)
        self.env = {"LD_PRELOAD": str(SHIM), "FAULT_FOLDER": str(Path(folder).resolve()),
                    "FAULT_CONTROL": str(self.control), "FAULT_LOG": str(self.log)}

    def set(self, rules):
        new = self.control.with_suffix(".new")
        new.write_text(rules)
        new.rename(self.control)

    def faults(self):
        """What was done so far: dicts with at_ns, call, path, number, errno, delay_us."""
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text().splitlines()]


# ---- faults that the ledger must know of ---------------------------------------------------------

class FaultLog:
    """JSON lines {"from_ns", "until_ns", "what"}: when the store was provably down, for the
    ledger's "no lie"."""

    def __init__(self, path):
        self.path = Path(path)
        self.path.touch()

    def add(self, what, from_ns, until_ns):
        with open(self.path, "a", encoding="utf-8") as file:
            print(json.dumps({"from_ns": from_ns, "until_ns": until_ns, "what": what}), file=file)


@contextlib.contextmanager
def keep_on_failure(name, *paths, seed=None):
    """After a failure data, ledger and logs stay in the artifacts, and the failure says where."""
    try:
        yield
    except Exception as error:
        kept = ARTIFACTS / f"{name}-{time.strftime('%H%M%S')}-{os.getpid()}"
        kept.mkdir(parents=True, exist_ok=True)
        for path in map(Path, paths):
            with contextlib.suppress(OSError, shutil.Error):
                if path.is_dir():
                    shutil.copytree(path, kept / path.name, dirs_exist_ok=True)
                elif path.exists():
                    shutil.copy(path, kept)
        (kept / "failure.txt").write_text(f"seed {seed}\n{error}\n")
        where = f"seed {seed}; data, ledger and logs are in {kept}"
        raise AssertionError(f"{error}\n{where}") from error


# ---- power cuts ---------------------------------------------------------------------------------

def command(*words):
    return subprocess.run([str(w) for w in words], check=True, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60).stdout.strip()


class PowerDisk:
    """An ext4 of its own whose power can be cut: whatever was not synced is gone. The file below it
    is never sparse, because a sparse one syncs a hundred times slower."""

    def __init__(self, work, mebibytes=512):
        self.image, self.folder = Path(work) / "disk.img", Path(work) / "disk"
        self.device, self.is_mounted = None, False
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            command("fallocate", "-l", f"{mebibytes}M", self.image)
            self.device = command("losetup", "-f", "--show", self.image)
            command("mkfs.ext4", "-q", "-E", "lazy_itable_init=1", self.device)
            self.mount()
        except BaseException:
            self.close()
            raise

    def mount(self):
        command("mount", self.device, self.folder)
        self.is_mounted = True

    def cut(self):
        """From here on nothing reaches the disk any more, and every call on it fails."""
        fd = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_SHUTDOWN, struct.pack("I", EXT4_SHUTDOWN_NO_FLUSH))
        finally:
            os.close(fd)

    def unmount(self):
        def try_it():
            try:
                command("umount", self.folder)
                return True
            except subprocess.CalledProcessError:
                return False
        wait_until(try_it, f"{self.folder} to be unmounted: does a process use it?", 5)
        self.is_mounted = False

    def power_on(self):
        """All users of the disk must have ended."""
        self.unmount()
        self.mount()

    def close(self):
        if self.is_mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=False)
            self.is_mounted = False
        if self.device:
            subprocess.run(["losetup", "-d", self.device], check=False)
            self.device = None
        self.image.unlink(missing_ok=True)


def why_no_power_cuts(work):
    """None where power can be cut, else the reason why not."""
    if os.geteuid() != 0:
        return "power cuts need root"
    try:
        disk = PowerDisk(work, mebibytes=16)
    except (OSError, subprocess.SubprocessError) as error:
        return f"no loop mounts here: {getattr(error, 'stderr', None) or error}"
    try:
        disk.cut()
        return None
    except OSError as error:
        return f"this kernel's ext4 cannot be shut down: {error}"
    finally:
        disk.close()


# ---- the storm ----------------------------------------------------------------------------------

class Storm:
    """Load on a server that is hurt again and again; the ledger judges what is left.

        with Storm(server, work, seed) as storm:
            for _ in range(60):
                storm.wait_for_progress()
                server.kill()
                server.start_within(READY_SECONDS)
            assert storm.judge().ok
    """

    def __init__(self, server, work, seed, **load_options):
        from ledger import Load
        self.server, self.ledger, self.rng = server, Path(work) / "ledger", random.Random(seed)
        self.faults = FaultLog(Path(work) / "faults.jsonl")
        self.load = Load(server.url, self.ledger, seed=seed, **load_options)
        self.is_loading = False

    def __enter__(self):
        self.load.install_campaigns(self.server.url)
        self.go_on()
        return self

    def __exit__(self, kind, *_):
        try:
            self.stop_load(is_judged=kind is None)
        finally:
            if self.server.is_running():
                self.server.kill()

    def stop_load(self, is_judged=True):
        """No answer was wrong: good events are not refused for good, bad ones are."""
        if not self.is_loading:
            return
        self.is_loading = False
        counts = self.load.stop()
        if is_judged:
            assert counts["valid_rejected"] == counts["invalid_accepted"] == 0, counts

    def wait_for_progress(self, most=500):
        """Until some more events were acknowledged, how many is left to chance."""
        self.load.wait_for("acked", self.rng.randint(1, most))

    def pause(self, most, least=0.0):
        """A moment of chance, for faults that shall hit anything."""
        time.sleep(self.rng.uniform(least, most))

    def may_fail(self):
        """An event that is in hand at three ends in a row may be set aside as their cause."""
        return {"crashed_the_worker": (self.server.starts - 1) // ATTEMPTS_MAX}

    def judge(self, *foreign):
        """The load ends, everything accepted gets its end, and the ledger's verdict is returned."""
        from ledger import verify
        self.stop_load()
        if not self.server.is_running():
            self.server.start()
        return verify(self.ledger, self.server.folder, url=self.server.url,
                      fault_log=self.faults.path, foreign=foreign, may_fail=self.may_fail())

    def judge_quickly(self):
        """The same without asking the server, for programs that may never come to an end."""
        self.stop_load()
        wait_until(lambda: self.server.summary()["queue_depth"] == 0, "an empty queue")
        return self.judge_folder()

    def judge_folder(self):
        """The verdict on what is there, also when the program does not even start."""
        from ledger import verify
        self.stop_load(is_judged=False)
        return verify(self.ledger, self.server.folder, fault_log=self.faults.path,
                      may_fail=self.may_fail())

    def go_on(self):
        """The load again, after a verdict on the way."""
        self.load.start()
        self.is_loading = True


# ---- exact questions, without the ledger ---------------------------------------------------------

class Client:
    """Posts single events over one connection and remembers what was answered, and when."""

    def __init__(self, url, timeout=30):
        self.address = urllib.parse.urlsplit(url).netloc
        self.timeout, self.connection = timeout, None
        self.sent, self.answers = {}, []  # id -> body; (id, status or None, sent_ns, answered_ns)

    def post(self, event_id, **members):
        """The status; None when nobody knows what became of the event."""
        body = json.dumps({"event_id": event_id, "event_type": "purchase", **members})
        self.sent[event_id] = body
        status, sent_ns = None, time.time_ns()
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.address, timeout=self.timeout)
            self.connection.request("POST", "/events", body, {"Content-Type": "application/json"})
            answer = self.connection.getresponse()
            status = answer.status
            answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
        self.answers.append((event_id, status, sent_ns, time.time_ns()))
        return status

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def ids(self, status):
        return {answer[0] for answer in self.answers if answer[1] == status}

    def post_until_refused(self, prefix, most=5000, **members):
        """Posts events as long as they are accepted; the first other status."""
        for number in range(most):
            status = self.post(f"{prefix}{number}", **members)
            if status != 202:
                return status
        raise AssertionError(f"{most} events were accepted, and nothing happened")


def install_campaign(server):
    """CAMPAIGN is there afterwards, whether or not it was before."""
    assert server.post("/campaigns", CAMPAIGN).status in (201, 409)


def rows(folder, file, query):
    connection = sqlite3.connect(f"file:{Path(folder) / file}?mode=ro", uri=True, timeout=30)
    with contextlib.closing(connection):
        return connection.execute(query).fetchall()


def check_stored(folder, sent, acked):
    """Nothing acknowledged is lost, nothing was made up, nothing altered, no number left out."""
    assert rows(folder, "queue.db", "PRAGMA integrity_check") == [("ok",)]
    stored = rows(folder, "queue.db", "SELECT seq, event_id, body FROM raw_events ORDER BY seq")
    ids = {event_id for _, event_id, _ in stored}
    assert acked <= ids, f"lost: {sorted(acked - ids)[:20]}"
    assert ids <= set(sent), f"invented: {sorted(ids - set(sent))[:20]}"
    assert all(sent[event_id] == body for _, event_id, body in stored), "a body was altered"
    assert [seq for seq, _, _ in stored] == list(range(1, len(stored) + 1)), "a gap in the log"
    return stored


def check_effects(folder, stored):
    """Every stored event took effect exactly once (CAMPAIGN is there, nothing waits)."""
    assert rows(folder, "eventflow.db", "PRAGMA integrity_check") == [("ok",)]
    first = {}
    for seq, event_id, _ in stored:
        first.setdefault(event_id, seq)
    done = rows(folder, "eventflow.db", "SELECT event_id, seq FROM processed")
    assert sorted(done) == sorted(first.items()), "not every event was processed exactly once"
    matched = rows(folder, "eventflow.db", "SELECT seq FROM matches WHERE campaign_id = 'all'")
    assert sorted(seq for seq, in matched) == sorted(first.values()), "effects differ from events"
    counters = dict(rows(folder, "eventflow.db", "SELECT name, value FROM counters"))
    assert counters["processed"] == len(done) and counters["matches"] == len(matched), counters
    assert counters["processed"] + counters["duplicate"] == len(stored), counters
