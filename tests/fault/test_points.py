"""Each named fault point of the sources fails once and is killed at once, under a small load: the
process goes on or ends with the stated code, and the ledger finds nothing lost, nothing twice."""
import contextlib
import json
import signal

import pytest

import fault_points
from hostile import judge
from rig import EXIT_FATAL, FaultServer, Storm, keep_on_failure, rounds, running, start_seed
from server import wait_until

PASS = {"wal_keeper.copy": 1}  # at which pass it happens; the third one unless it stands here
STIRS = rounds(2, 40)
BULK = "x" * 60000
LARGE = 16  # events of that size at once: a checkpoint is due after some of them


def stir(storm, number):
    """A bit of everything that the load does not do; the server may be dead."""
    server = storm.server
    with contextlib.suppress(OSError, ValueError, AssertionError, KeyError):
        storm.load.change_campaign()
        for path in ("/events", "/matches", "/failed-events", "/campaigns", "/health"):
            server.get(path)
        server.post("/failed-events/replay", {"reason": "event_id_conflict"})
    for part in range(8 if number == 0 else 1):
        lines = "\n".join(json.dumps({"event_id": f"stir-{number}-{part}-{n}", "event_type": "bulk",
                                      "payload": {"text": BULK}}) for n in range(LARGE))
        with contextlib.suppress(OSError):
            server.post("/events", lines, content_type="application/x-ndjson")


def stir_until(storm, is_over):
    """At least STIRS times, and on until is_over."""
    for number in range(100):
        stir(storm, number)
        if storm.server.process.poll() is not None or (number >= STIRS and is_over()):
            return


@pytest.mark.parametrize("action", ["fail", "kill"])
@pytest.mark.parametrize("point", fault_points.named_points())
def test_a_fault_at_each_point_loses_nothing(tmp_path, point, action):
    seed = start_seed(81)
    server = FaultServer(tmp_path / "data")
    rule = f"{point}={action}@{PASS.get(point, 3)}"
    fault = f"{point}!{action}"
    before = fault_points.hits().count(fault)
    with running(server.start()), \
            keep_on_failure("points", server.folder, tmp_path, seed=f"{seed} {rule}"), \
            Storm(server, tmp_path, seed, rate=3000, conflicts=0.05) as storm:
        server.stop()
        server.env = {"EVENTFLOW_TEST_FAULT": rule}
        server.start(wait=False)
        wait_until(lambda: server.process.poll() is not None or server.is_ready_within(1),
                   "a start")
        stir_until(storm, lambda: action == "fail" and fault_points.hits().count(fault) > before)
        check_end(server, action)
        assert fault_points.hits().count(fault) > before, "the fault never happened"
        server.env = {}
        if not server.is_running():
            server.start()
        storm.wait_for_progress()
        judge(storm, "stir-")


def check_end(server, action):
    """A failure is survived, or ends with the code that says so; a kill ends it."""
    if action == "kill":
        assert server.process.wait(10) == -signal.SIGKILL, server.tail()
    elif not is_ready(server):
        assert server.process.wait(5) == EXIT_FATAL, server.tail()


def is_ready(server):
    try:
        return server.get("/health/ready").status == 200
    except OSError:
        return False
