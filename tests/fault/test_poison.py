"""A poison event is isolated: the rest of its batch is unaffected, also when it kills the process
each time it is tried. A loop starts the program again, as a supervisor would."""
import signal

import pytest

from rig import CAMPAIGN, check_effects, check_stored, rows
from server import event, wait_until

STARTS_MAX = 20
POISONED = {"EVENTFLOW_TEST_FAULT": "worker.match~poison=abort@1+"}
QUICK = ("--retry-backoff", "10ms")


def send(server, events):
    """The answer may be lost when the process dies; the events are durable by then."""
    try:
        server.send(*events)
    except OSError:
        wait_until(lambda: server.process.poll() is not None, "the process to be dead")


def has_rest(server):
    """Whether it lives and nothing waits any more; None while nobody knows."""
    if server.process.poll() is not None:
        return False
    try:
        return True if server.summary()["waiting"] == 0 else None
    except (OSError, ValueError):
        return None


def supervise(server):
    """Starts it again until it has nothing left to do; how often it died."""
    for deaths in range(STARTS_MAX):
        result = wait_until(lambda: known(has_rest(server)), "the process to end or to be done")
        if result == [True]:
            return deaths
        assert server.process.wait() == -signal.SIGABRT, server.log()
        server.start(wait=False)
    raise AssertionError(f"it died {STARTS_MAX} times: {server.log()[-3000:]}")


def known(value):
    return None if value is None else [value]


def batch(count, poisons):
    """Good events, with poison at these places."""
    return [event(f"e-{n}", "poison" if n in poisons else "purchase", payload={"n": n})
            for n in range(count)]


def judge(server, events):
    """Good ones took effect exactly once, the others stand in failed_events."""
    poison = {e["event_id"] for e in events if e["event_type"] == "poison"}
    failed = server.sql("SELECT event_id, reason, attempts FROM failed_events ORDER BY seq")
    assert {row[0] for row in failed} == poison and len(failed) == len(poison)
    processed = [row[0] for row in server.sql("SELECT event_id FROM processed_events")]
    assert sorted(processed) == sorted(e["event_id"] for e in events
                                       if e["event_id"] not in poison)
    matched = server.sql("SELECT event_id FROM campaign_matches")
    assert sorted(row[0] for row in matched) == sorted(processed)
    return {(reason, attempts) for _, reason, attempts in failed}


@pytest.mark.parametrize("poisons", [{0}, {99}, {150}, {40, 41, 120}])
def test_an_event_that_kills_the_process_each_time_is_set_aside(make_server, poisons):
    """First, in the middle, last, several: after 3 attempts each it stands in failed_events."""
    server = make_server(*QUICK, env=POISONED)
    assert server.post("/campaigns", CAMPAIGN).status == 201
    events = batch(151, poisons)
    send(server, events)
    deaths = supervise(server)
    assert judge(server, events) == {("crashed_the_worker", 3)}
    # A death in the batch, whose culprit nobody knows yet, then the three attempts.
    assert deaths <= 4 * len(poisons)
    server.send(event("after"))
    assert server.wait_idle()["processed"] == 151 - len(poisons) + 1


def test_an_event_that_always_fails_holds_up_nobody(make_server):
    server = make_server(*QUICK, env={"EVENTFLOW_TEST_FAULT": "worker.match~poison=fail@1+"})
    assert server.post("/campaigns", CAMPAIGN).status == 201
    events = batch(200, {7, 100})
    server.send(*events)
    server.wait_idle()
    assert judge(server, events) == {("processing_failed", 3)}


def test_an_event_that_fails_once_takes_effect_once(make_server):
    server = make_server(*QUICK, env={"EVENTFLOW_TEST_FAULT": "worker.match~flaky=fail"})
    assert server.post("/campaigns", CAMPAIGN).status == 201
    server.send(event("b", "flaky"))
    summary = server.wait_idle()
    assert (summary["processed"], summary["failed"]) == (1, 0)
    assert server.sql("SELECT attempt FROM processed_events WHERE event_id = 'b'") == [(2,)]


def test_a_process_that_is_killed_at_any_event_of_a_batch_goes_on(make_server):
    """Without a culprit: whichever event was in hand is tried again and takes effect once."""
    server = make_server(*QUICK, start=False)
    deaths = 0
    for number in (1, 20, 99, 5):
        server.env = {"EVENTFLOW_TEST_FAULT": f"worker.match=kill@{number}"}
        server.start()
        if deaths == 0:
            assert server.post("/campaigns", CAMPAIGN).status == 201
        send(server, [event(f"{number}-{n}") for n in range(100)])
        wait_until(lambda: server.process.poll() is not None, "the kill")
        assert server.process.returncode == -signal.SIGKILL
        deaths += 1
    server.env = {}
    server.start()
    assert server.wait_idle()["processed"] == 400
    sent = dict(rows(server.folder, "queue.db", "SELECT event_id, body FROM raw_events"))
    assert len(sent) == 400
    check_effects(server.folder, check_stored(server.folder, sent, set(sent)))
