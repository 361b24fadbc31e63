"""The same event at the same time, a hundred times: a hundred 202, one row, one effect."""
import http.client
import json
import threading

import pytest

from server import event, run

COPIES = 100
CAMPAIGN = {"id": "all", "name": "all", "rules": {"event_type": ["purchase"]}}


def send_at_once(port, bodies):
    """Each body on a connection of its own, all let go at the same moment; the statuses."""
    gate, statuses = threading.Barrier(len(bodies)), [None] * len(bodies)

    def send(number):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.connect()
        gate.wait(30)
        connection.request("POST", "/events", bodies[number], {"Content-Type": "application/json"})
        statuses[number] = connection.getresponse().status
        connection.close()

    threads = [threading.Thread(target=send, args=(n,)) for n in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def fill_the_index(server):
    """More ids than fit into the memory it may take; how many."""
    server.send(*[event(f"fill-{n}", "filler") for n in range(1000)])
    server.wait_idle()
    server.stop()
    server.start()
    return 1000


@pytest.mark.parametrize("is_indexed_on_disk", [False, True])
def test_a_hundred_copies_are_one_event(make_server, is_indexed_on_disk):
    """Whichever index recognises them."""
    server = make_server(*(["--dedupe-memory-max", "4KiB"] if is_indexed_on_disk else []))
    others = fill_the_index(server) if is_indexed_on_disk else 0
    assert server.post("/campaigns", CAMPAIGN).status == 201
    for number in range(3):
        body = json.dumps(event(f"copy-{number}", payload={"amount": 75}))
        assert send_at_once(server.port, [body] * COPIES) == [202] * COPIES
    summary = server.wait_idle()
    assert (summary["processed"], summary["duplicate"]) == (others + 3, 3 * (COPIES - 1))
    assert summary["dedupe_index"] == ("disk" if is_indexed_on_disk else "memory")
    rows = server.sql("SELECT duplicates FROM processed_events WHERE event_type = 'purchase'")
    assert rows == [(COPIES - 1,)] * 3
    assert server.sql("SELECT count(*) FROM campaign_matches") == [(3,)]
    assert server.stop() == 0
    assert run("doctor", "--full", "--data", server.folder).returncode == 0


def test_of_a_hundred_different_bodies_one_wins(make_server):
    server = make_server()
    bodies = [json.dumps(event("clash", payload={"n": n})) for n in range(COPIES)]
    assert send_at_once(server.port, bodies) == [202] * COPIES
    summary = server.wait_idle()
    assert (summary["processed"], summary["failed"]) == (1, COPIES - 1)
    reasons = {row[0] for row in server.sql("SELECT reason FROM failed_events")}
    assert reasons == {"event_id_conflict"}


def test_copies_across_a_kill_are_one_event(make_server):
    """The index is made again from the table."""
    server = make_server()
    body = json.dumps(event("again"))
    assert send_at_once(server.port, [body] * 10) == [202] * 10
    server.kill()
    server.start()
    assert send_at_once(server.port, [body] * 10) == [202] * 10
    summary = server.wait_idle()
    assert (summary["processed"], summary["duplicate"]) == (1, 19)
