"""The dead letter: poison is isolated, three attempts, replay, bulk replay."""
import threading

import pytest
from conftest import event, wait_until


def conflicts(server, count):
    """count failures with the reason event_id_conflict."""
    server.send(*[event(f"f-{i}") for i in range(count)])
    server.wait_idle()
    server.send(*[event(f"f-{i}", payload={"other": i}) for i in range(count)])
    summary = server.wait_idle()
    assert summary["failed"] == count


def test_failures_are_listed_shown_and_filtered(server):
    conflicts(server, 9)
    seen, cursor = [], ""
    for _ in range(10):
        page = server.get("/failed-events?limit=4" + cursor).json
        seen += [f["event_id"] for f in page["failed_events"]]
        if page["next_cursor"] is None:
            break
        cursor = "&cursor=" + page["next_cursor"]
    assert sorted(seen) == [f"f-{i}" for i in range(9)]
    one = server.get("/failed-events?event_id=f-3").json["failed_events"]
    assert len(one) == 1
    shown = server.get(f"/failed-events/{one[0]['id']}").json
    assert shown["event_id"] == "f-3" and shown["attempts"] == 1 and shown["status"] == "open"
    assert shown["first_failed_at"] and shown["error"]
    assert server.get("/failed-events?reason=nothing").json["failed_events"] == []
    assert server.get("/failed-events/999").status == 404
    assert server.get("/failed-events/x").status == 404
    assert server.get("/failed-events?status=maybe").status == 400


def test_a_replayed_event_goes_through_the_queue_again_and_its_row_is_marked(server):
    conflicts(server, 1)
    failure = server.get("/failed-events").json["failed_events"][0]
    assert server.request("POST", f"/failed-events/{failure['id']}/replay").status == 202
    wait_until(lambda: server.get(f"/failed-events/{failure['id']}").json["status"] == "replayed",
               "the failure to be marked")
    summary = server.wait_idle()  # it conflicts again: a new failure, the old one marked
    assert summary["received"] == 3 and summary["failed"] == 2 and summary["replayed"] == 1
    assert len(server.get("/failed-events?status=open").json["failed_events"]) == 1
    assert server.request("POST", "/failed-events/999/replay").status == 404


def test_bulk_replay_takes_filters_and_a_limit(server):
    conflicts(server, 5)
    answer = server.post("/failed-events/replay", {"reason": "event_id_conflict", "limit": 2})
    assert answer.status == 202 and answer.json == {"replayed": 2, "has_more": True}
    server.wait_idle()
    assert server.post("/failed-events/replay", {"reason": "other"}).json["replayed"] == 0
    assert server.post("/failed-events/replay", {"reson": "x"}).status == 422
    assert server.post("/failed-events/replay", []).status == 400
    assert server.post("/failed-events/replay", {"limit": 0}).status == 422
    summary = server.wait_idle()
    assert summary["replayed"] == 2


def test_a_bulk_replay_that_is_stopped_tells_how_many_it_queued(make_server):
    """The second page finds the queue full, since the worker is held up by an event."""
    server = make_server("--queue-depth-max", "120",
                         env={"EVENTFLOW_TEST_FAULT": "worker.match~held=wait:60000@1+"})
    for part in (range(75), range(75, 150)):
        server.send(*[event(f"f-{i}") for i in part])
        server.wait_idle()
    for part in (range(75), range(75, 150)):
        server.send(*[event(f"f-{i}", payload={"other": i}) for i in part])
        server.wait_idle()
    server.send(event("held", "held"))
    answer = server.post("/failed-events/replay", {})
    server.kill()
    if answer.status == 202:
        pytest.skip("this build has no test hooks")
    assert answer.status == 503 and answer.json["replayed"] == 100
    assert answer.json["type"] == "/problems/temporarily-unavailable"
    server.env = {}
    server.start()
    server.wait_idle()
    assert server.post("/failed-events/replay", {"limit": 50}).json["replayed"] == 50
    server.wait_idle()


def test_a_failure_is_replayed_once_however_often_it_is_asked_for(server):
    conflicts(server, 3)
    ids = [f["id"] for f in server.get("/failed-events").json["failed_events"]]
    statuses = []

    def ask():
        statuses.append(server.request("POST", f"/failed-events/{ids[0]}/replay").status)
        server.post("/failed-events/replay", {"reason": "event_id_conflict", "event_id": "f-1"})

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses.count(202) == 1 and statuses.count(409) == 11
    summary = server.wait_idle()
    assert summary["replayed"] >= 2
    assert server.request("POST", f"/failed-events/{ids[0]}/replay").status == 409
    assert server.get(f"/failed-events/{ids[0]}").json["replay_seq"] > 0


def test_large_failures_are_replayed_in_parts(server):
    text = "x" * 400_000
    server.send(*[event(f"l-{i}") for i in range(7)])
    server.wait_idle()
    for i in range(7):
        server.send(event(f"l-{i}", payload={"text": text}))
    server.wait_idle()
    answer = server.post("/failed-events/replay", {"reason": "event_id_conflict"})
    assert answer.status == 202 and answer.json == {"replayed": 7, "has_more": False}
    assert server.wait_idle()["replayed"] == 7


def test_an_event_that_crashes_the_process_is_found_and_set_aside(make_server):
    """Needs a build with test hooks: the worker aborts on this event type."""
    server = make_server("--retry-backoff", "10ms",
                         env={"EVENTFLOW_TEST_FAULT": "worker.match~poison=abort@1+",
                              "ASAN_OPTIONS": "abort_on_error=0"})
    try:
        server.send(*[event(f"good-{i}") for i in range(5)], event("bad", "poison"),
                    *[event(f"more-{i}") for i in range(5)])
    except OSError:
        pass  # the worker may crash before the answer is out; the events are durable all the same
    ends = 0
    for _ in range(8):
        try:
            wait_until(lambda: server.process.poll() is not None or server.summary()["waiting"] == 0,
                       "the worker to crash or to finish")
        except (OSError, AssertionError):
            wait_until(lambda: server.process.poll() is not None, "the process to end")
        if server.process.poll() is None:
            break
        ends += 1
        server.start(wait=False)
        wait_until(lambda: server.process.poll() is not None or _ready(server), "a start")
    if ends == 0:
        pytest.skip("this build has no test hooks")
    summary = server.wait_idle()
    assert summary["processed"] == 10 and summary["failed"] == 1
    failure = server.get("/failed-events").json["failed_events"][0]
    assert failure["event_id"] == "bad" and failure["reason"] == "crashed_the_worker"
    assert ends <= 5


def _ready(server):
    try:
        return server.get("/health/ready").status == 200
    except OSError:
        return False
