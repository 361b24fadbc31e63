"""A full disk: POSTs are refused within a second and say disk_full, everything else is answered,
and when there is room again events are accepted within 5 s, without a restart. Nothing acknowledged
is lost, by the word of the ledger."""
import json
import os
import subprocess
import time

import pytest

from hostile import MountNotAllowed, judge, small_disk
from rig import Client, FaultServer, Shim, Storm, keep_on_failure, running, start_seed
from server import event, wait_until

REFUSED_WITHIN = 1   # seconds, for the answer to a POST
ACCEPTS_WITHIN = 5   # seconds, from the moment there is room
NO_ROOM = (503, 507)
READS = ("/health/live", "/metrics", "/metrics/summary", "/events/first", "/events?limit=5",
         "/campaigns", "/failed-events", "/matches")


@pytest.fixture
def disk():
    yield from mounted("size=16m")


def mounted(options):
    try:
        with small_disk(options) as folder:
            yield folder
    except MountNotAllowed as why:
        pytest.skip(f"no mounts here: {why}")


class Ballast:
    """A file that takes all the room there is."""

    def __init__(self, disk):
        self.path = disk / "ballast"

    def fill(self):
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for size in (1 << 16, 1 << 12):
            try:
                while os.write(fd, bytes(size)):
                    pass
            except OSError:
                continue  # so much does not fit any more
        os.close(fd)

    def remove(self):
        self.path.unlink()


def post(server, body):
    """The answer, which came in time."""
    began = time.monotonic()
    answer = server.post("/events", body)
    assert time.monotonic() - began < REFUSED_WITHIN, f"late: {answer}"
    return answer


def fill_up(server, ballast):
    """Takes all the room, again and again, until a POST is refused; its answer."""
    def refused():
        ballast.fill()
        answer = post(server, event(f"full-{time.monotonic_ns()}", payload={"text": "x" * 50000}))
        return answer if answer.status != 202 else None
    return wait_until(refused, "the disk to be full")


def check_says_disk_full(server, answer):
    assert answer.status in NO_ROOM and answer.json["code"] == "disk_full", answer
    for path in READS:
        assert server.get(path).status == 200, path
    health = server.get("/health")
    assert "disk_full" in health.body.decode(), health
    assert server.get("/health/live", url=f"http://127.0.0.1:{server.metrics_port}").status == 200


def accepts(server, event_id):
    return post(server, event(event_id)).status == 202


def test_a_full_disk_refuses_until_there_is_room(disk, tmp_path):
    seed = start_seed(41)
    server = FaultServer(disk / "data", log=tmp_path / "server.log")
    ballast = Ballast(disk)
    with running(server.start()), \
            keep_on_failure("disk_full", server.folder, tmp_path, seed=seed), \
            Storm(server, tmp_path, seed, rate=2000) as storm:
        server.send(event("first"))
        wait_until(lambda: server.get("/events/first").status == 200, "the first event")
        for number in range(2):
            check_says_disk_full(server, fill_up(server, ballast))
            ballast.remove()
            wait_until(lambda: accepts(server, f"again-{number}"), "room", ACCEPTS_WITHIN)
            storm.wait_for_progress()
        assert server.process.poll() is None, "without a restart"
        judge(storm, "first", "full-", "again-")


def test_results_that_have_no_room_wait(tmp_path):
    """Only eventflow.db is full: events are accepted, wait, and are processed once there is
    room."""
    seed = start_seed(42)
    shim = Shim(tmp_path / "data", tmp_path)
    server = FaultServer(tmp_path / "data", env=shim.env)
    with running(server.start()), \
            keep_on_failure("results_full", server.folder, tmp_path, seed=seed), \
            Storm(server, tmp_path, seed, rate=2000) as storm:
        storm.wait_for_progress()
        shim.set("write eventflow.db* from=1 errno=ENOSPC")
        wait_until(lambda: shim.faults(), "the results to meet the full disk")
        before = server.summary()["processed"]
        storm.wait_for_progress(500)
        assert server.get("/health/live").status == 200
        assert server.summary()["processed"] == before, "processed without room"
        shim.set("")
        wait_until(lambda: server.summary()["processed"] > before, "processing", 2 * ACCEPTS_WITHIN)
        assert server.process.poll() is None, "without a restart"
        judge(storm)


@pytest.mark.parametrize("error", ["ENOSPC", "EDQUOT"])
def test_a_log_that_finds_no_room_in_its_database_waits(tmp_path, error):
    """Checkpoints meet the full disk or quota; commits have room in the log and go on."""
    seed = start_seed(43)
    shim = Shim(tmp_path / "data", tmp_path)
    server = FaultServer(tmp_path / "data", env=shim.env)
    with running(server.start()), \
            keep_on_failure(f"checkpoint_{error}", server.folder, tmp_path, seed=seed), \
            Storm(server, tmp_path, seed, rate=2000) as storm:
        shim.set(f"write queue.db from=1 errno={error}")
        wait_until(lambda: shim.faults(), "a checkpoint to meet the full disk")
        storm.wait_for_progress(500)
        size = (server.folder / "queue.db").stat().st_size
        shim.set("")
        wait_until(lambda: (server.folder / "queue.db").stat().st_size > size, "a checkpoint")
        assert server.process.poll() is None, "without a restart"
        judge(storm)


def is_waiting_for_room(server):
    try:
        return server.get("/health").json["disk_full"]
    except OSError:
        return False


def start_once(folder, tmp_path):
    """A start that may fail: the exit code and what was logged, or None when it runs (perhaps not
    ready: what waits cannot be settled yet)."""
    server = FaultServer(folder, log=tmp_path / "start.log")
    server.start(wait=False)
    wait_until(lambda: server.process.poll() is not None or server.is_ready_within(1)
               or is_waiting_for_room(server), "its verdict")
    if server.process.poll() is None:
        assert server.stop() == 0, server.log()
        return None
    return server.process.returncode, server.log()


def check_refusal(result):
    """A stated exit code and one clear line."""
    if result is None:
        return
    code, log = result
    assert code == 74, f"exit code {code}: {log}"
    lines = [line for line in log.splitlines() if line.startswith("eventflow: ")]
    assert len(lines) == 1 and any(word in lines[0] for word in ("No space left", "full")), log


@pytest.mark.parametrize("inodes", range(2, 10))
def test_a_start_without_inodes_says_so(tmp_path, inodes):
    """Whichever file is the one too many. With room it starts, whatever was left behind."""
    for disk in mounted(f"size=16m,nr_inodes={inodes}"):
        check_refusal(start_once(disk / "data", tmp_path))
        remount(disk, "nr_inodes=100")
        assert start_once(disk / "data", tmp_path) is None


def remount(disk, options):
    subprocess.run(["mount", "-o", f"remount,{options}", disk], check=True)


@pytest.mark.parametrize("kibibytes", [0, 4, 16, 40, 100, 200])
def test_a_first_start_on_a_full_disk_says_so(disk, tmp_path, kibibytes):
    """Whichever write is the one too many; what it leaves behind harms no later start."""
    ballast = Ballast(disk)
    ballast.fill()
    os.truncate(ballast.path, ballast.path.stat().st_size - kibibytes * 1024)
    check_refusal(start_once(disk / "data", tmp_path))
    ballast.remove()
    assert start_once(disk / "data", tmp_path) is None


def test_a_restart_on_a_full_disk_keeps_everything(disk, tmp_path):
    server = FaultServer(disk / "data", log=tmp_path / "server.log")
    ballast = Ballast(disk)
    with running(server.start()):
        client = Client(server.url)
        for number in range(200):
            assert client.post(f"e{number}") == 202
        client.close()
        server.kill()
        ballast.fill()
        check_refusal(start_once(disk / "data", tmp_path))
        ballast.remove()
        server.start()
        assert server.wait_idle()["processed"] == 200
        stored = {json.loads(body)["event_id"]
                  for body, in server.sql("SELECT body FROM raw_events", file="queue.db")}
        assert stored == set(client.sent)
