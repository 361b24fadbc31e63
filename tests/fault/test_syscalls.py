"""kill -9 at an exact system call: each n-th sync, write of a file and answer, n growing until a
bounded load gets through alive. Whatever the point: nothing acknowledged is lost, nothing twice."""
import collections
import shutil
import signal

import pytest

from ledger import Load, verify
from rig import (IS_SOAK, Client, check_effects, check_stored, in_parallel, install_campaign,
                 keep_on_failure, make_server, rounds, running, strace_kill)
from server import wait_until

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

EVENTS = 60
# Call, first n, step. strace counts each thread by itself: whoever gets to n first ends all.
LANES = [("fdatasync", 1, 1), ("sendmsg", 1, 1),
         ("pwrite64", 1, rounds(4, 2)), ("pwrite64", 3 if not IS_SOAK else 2, rounds(4, 2))]
POINTS_LEAST = 200
POINTS_LEAST_A_CALL = 40
# The same under the ledger's load, behind the start and the making of the campaigns.
JUDGED = [("fdatasync", 25), ("fdatasync", 40), ("pwrite64", 120), ("pwrite64", 161),
          ("sendmsg", 10), ("sendmsg", 20)]


def is_settled(server):
    """It is dead, or nothing waits any more."""
    try:
        return not server.is_running() or server.summary()["waiting"] == 0
    except (OSError, ValueError):
        return False


def load(server, client):
    """A few duplicates are among the events. Ends early when the server is dead."""
    try:
        server.start()
        install_campaign(server)
    except (AssertionError, OSError):
        wait_until(lambda: not server.is_running(), "the end of a server that does not answer")
        return
    for number in range(EVENTS):
        if client.post(f"e{number}") is None:
            break
        if number % 10 == 9:
            client.post(f"e{number - 5}")
    wait_until(lambda: is_settled(server), "the end of the load")


def check_recovery(work, client):
    """The program starts on what the dead one left, and goes on."""
    server = make_server(work / "data")
    with running(server):
        server.start()
        install_campaign(server)
        again = Client(server.url)
        assert again.post("later") == 202
        again.close()
        server.wait_idle()
        sent, acked = {**client.sent, **again.sent}, client.ids(202) | again.ids(202)
        check_effects(server.folder, check_stored(server.folder, sent, acked))


def was_killed_at(work, call, number):
    """One life that may end at that call, and the next one. False: the load got through."""
    work.mkdir()
    server = make_server(work / "data", prefix=strace_kill(call, number, work / "strace.log"))
    client = Client(server.url)
    with keep_on_failure(f"kill-{call}-{number}", work), running(server):
        load(server, client)
        client.close()
        was_killed = not server.is_running()
        if was_killed:
            assert server.process.returncode == -signal.SIGKILL, server.tail()
            check_recovery(work, client)
    shutil.rmtree(work)
    return was_killed


def test_a_kill_at_any_call_loses_and_doubles_nothing(tmp_path):
    points = []

    def walk(lane):
        call, number, step = lane
        while was_killed_at(tmp_path / f"{call}{number}", call, number):
            points.append((call, number))
            number += step
    in_parallel(walk, LANES)
    by_call = collections.Counter(call for call, _ in points)
    assert sum(by_call.values()) >= POINTS_LEAST, by_call
    assert min(by_call[call] for call, _, _ in LANES) >= POINTS_LEAST_A_CALL, by_call


def test_the_ledger_agrees(tmp_path):
    """Its load goes on over the kill, with conflicts, batches and all campaigns."""
    def judge(point):
        work = tmp_path / f"{point[0]}{point[1]}"
        work.mkdir()
        server = make_server(work / "data", prefix=strace_kill(*point, work / "strace.log"))
        with keep_on_failure(f"ledger-{work.name}", work), running(server):
            server.start()
            load = Load(server.url, work / "ledger", seed=point[1], connections=2, max_ops=400)
            load.install_campaigns(server.url)
            load.start()
            wait_until(lambda: not server.is_running(), "the kill")
            server.prefix = []
            server.start()
            load.join()
            verdict = verify(work / "ledger", server.folder, url=server.url)
            assert verdict.ok, str(verdict)
    in_parallel(judge, JUDGED)
