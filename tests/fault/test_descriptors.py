"""Out of file descriptors (`ulimit -n 128`, 500 clients): no busy loop, one clear line, what is
open goes on being served, and the others are let in when there is room again."""
import time

import pytest

import fault_points
import server as server_module
from hostile import Crowd, cpu_seconds, wrap_binary
from server import event, wait_until

LIMIT, CLIENTS = 128, 500
WATCHED, BUSY_MAX = 2, 0.2  # seconds, and seconds of processor time in them
LINES_MAX = 10  # of one message a minute, as for every line
LINE = "cannot accept connections"


@pytest.fixture
def starved(make_server, tmp_path, monkeypatch):
    wrapped = wrap_binary(tmp_path, server_module.BINARY, f"ulimit -n {LIMIT}")
    monkeypatch.setattr(server_module, "BINARY", wrapped)
    monkeypatch.delenv(fault_points.HITS, raising=False)  # that file would be one too many, too
    return make_server("--idle-timeout", "300s", "--head-timeout", "300s")


def complaints(server):
    return sum(LINE in line["message"] for line in server.log_lines())


def busy_seconds(server, seconds):
    """Processor time the server takes in that time."""
    before = cpu_seconds(server.process.pid)
    time.sleep(seconds)  # the promise is about a stretch of time, so one has to pass
    return cpu_seconds(server.process.pid) - before


def test_five_hundred_silent_clients_cost_no_processor_time(starved):
    with Crowd(starved.port, "idle", CLIENTS) as crowd:
        assert crowd.opened == CLIENTS, "the backlog holds those that are not accepted"
        wait_until(lambda: complaints(starved), "a line that says why nobody is let in")
        assert busy_seconds(starved, WATCHED) < BUSY_MAX, "a busy loop without descriptors"
        assert complaints(starved) <= LINES_MAX, "the line floods the log"
    starved.send(event("after"))
    assert starved.wait_idle()["processed"] == 1


def test_five_hundred_busy_clients_are_served_in_turn(starved):
    """Those that are in are answered; nothing but 202 is seen, and nothing is lost."""
    with Crowd(starved.port, "post", CLIENTS) as crowd:
        wait_until(lambda: complaints(starved), "a line that says why nobody is let in")
        time.sleep(1)
        assert starved.process.poll() is None, starved.log()
    assert crowd.left["statuses"].keys() <= {"202"}, crowd.left
    assert crowd.left["statuses"]["202"] > 100
    starved.send(event("after"))
    summary = starved.wait_idle()
    assert summary["failed"] == 0
    # Requests under way when the crowd left may have been stored without an answer.
    assert 0 <= summary["processed"] - 1 - crowd.left["statuses"]["202"] <= CLIENTS


def test_databases_are_read_without_new_descriptors_to_spare(starved):
    """Look-ups open files; those that cannot say so with a status, and work again afterwards."""
    starved.send(event("before"))
    starved.wait_idle()
    with Crowd(starved.port, "idle", CLIENTS):
        wait_until(lambda: complaints(starved), "descriptors to be used up")
        assert starved.process.poll() is None
    wait_until(lambda: starved.get("/events/before").status == 200, "look-ups to work again")
    assert starved.get("/health").status == 200
