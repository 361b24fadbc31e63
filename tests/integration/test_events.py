"""Events through the front door: what is accepted, refused, stored and shown."""
import json
import sqlite3
import threading
import urllib.parse

import pytest
from conftest import event, wait_until

CREDIT = {"id": "credit", "name": "Credit", "rules": {
    "event_type": ["purchase"], "payload": {"amount": [{"numeric": [">", 50]}]}},
    "then": [{"type": "credit", "amount": 10, "unit": "USD"}]}


def show(server, event_id, **query):
    suffix = "?" + urllib.parse.urlencode(query) if query else ""
    return server.get("/events/" + urllib.parse.quote(event_id, safe="") + suffix)


def settled(server, event_id):
    def look():
        answer = show(server, event_id)
        return answer.json if answer.status == 200 and answer.json["state"] != "queued" else None
    return wait_until(look, f"{event_id} to be settled")


def test_an_event_is_accepted_processed_matched_and_shown(server):
    assert server.post("/campaigns", CREDIT).status == 201
    body = '{"event_id":"o-1", "event_type":"purchase","customer_id":"c1",' \
           '"payload":{"amount":75.10,"big":123456789012345678901234567890}}'
    answer = server.post("/events", body)
    assert answer.status == 202
    assert answer.json["event_id"] == "o-1" and answer.json["correlation_id"]
    found = settled(server, "o-1")
    assert found["state"] == "processed" and found["customer_id"] == "c1"
    assert [m["campaign_id"] for m in found["matches"]] == ["credit"]
    assert found["matches"][0]["then"] == CREDIT["then"]
    assert found["matches"][0]["campaign_version"] == 1
    assert found["correlation_id"] == answer.json["correlation_id"]
    assert b'"amount":75.10,"big":123456789012345678901234567890' in show(server, "o-1").body
    raw = server.sql("SELECT body FROM raw_events WHERE event_id = 'o-1'", file="queue.db")
    raw = raw[0][0] if isinstance(raw[0][0], str) else raw[0][0].decode()
    assert raw == body, "the body is stored as it came"


def test_documented_tables_are_readable_while_it_runs(server):
    server.post("/campaigns", CREDIT)
    server.send(event("t-1", payload={"amount": 60}), event("t-2", payload={"amount": 1}))
    server.wait_idle()
    assert sorted(server.sql("SELECT event_id FROM processed_events")) == [("t-1",), ("t-2",)]
    assert server.sql("SELECT campaign_id, event_id FROM campaign_matches") == [("credit", "t-1")]
    assert server.sql("SELECT count(*) FROM failed_events") == [(0,)]
    assert server.sql("SELECT id FROM campaigns") == [("credit",)]


def test_a_batch_names_the_bad_ones_and_stores_the_good_ones(server):
    answer = server.post("/events", [event("b-1"), {"event_id": "b-2"}, event("b-3", paylod={}), 7])
    assert answer.status == 202 and answer.json["accepted"] == 1
    rejected = {r["index"]: r["errors"] for r in answer.json["rejected"]}
    assert sorted(rejected) == [1, 2, 3]
    assert rejected[1][0]["pointer"] == "#/1/event_type"
    assert rejected[2][0]["pointer"] == "#/2/paylod" and "payload" in rejected[2][0]["detail"]
    assert server.wait_idle()["received"] == 1


def test_ndjson_refuses_bad_lines_only(server):
    lines = json.dumps(event("n-1")) + "\n\n{bad json\n" + json.dumps(event("n-2"))
    answer = server.post("/events", lines, content_type="application/x-ndjson")
    assert answer.status == 202 and answer.json["accepted"] == 2
    assert [r["index"] for r in answer.json["rejected"]] == [1]


def test_none_good_is_422(server):
    answer = server.post("/events", [{"event_id": "x"}, {}])
    assert answer.status == 422 and len(answer.json["rejected"]) == 2
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert server.summary()["received"] == 0


def test_atomic_is_all_or_nothing(server):
    answer = server.post("/events?atomic=true", [event("a-1"), {"event_id": "a-2"}])
    assert answer.status == 422 and server.summary()["received"] == 0
    assert server.post("/events?atomic=true", [event("a-1"), event("a-2")]).status == 202
    assert server.wait_idle()["received"] == 2


@pytest.mark.parametrize("body, pointer", [
    ({"event_type": "t"}, "#/event_id"),
    ({"event_id": "", "event_type": "t"}, "#/event_id"),
    ({"event_id": "x" * 129, "event_type": "t"}, "#/event_id"),
    ({"event_id": 5, "event_type": "t"}, "#/event_id"),
    ({"event_id": "x", "event_type": "t" * 129}, "#/event_type"),
    ({"event_id": "x", "event_type": "t", "customer_id": "c" * 257}, "#/customer_id"),
    ({"event_id": "x", "event_type": "t", "customer_id": None}, "#/customer_id"),
    ({"event_id": "x", "event_type": "t", "timestamp": "yesterday"}, "#/timestamp"),
    ({"event_id": "x", "event_type": "t", "timestamp": "2999-01-01T00:00:00Z"}, "#/timestamp"),
    ({"event_id": "x", "event_type": "t", "payload": [1]}, "#/payload"),
    ({"event_id": "x", "event_type": "t", "extra": 1}, "#/extra"),
    ([], None),
])
def test_a_bad_event_is_refused_with_its_place(shared_server, body, pointer):
    answer = shared_server.post("/events", body)
    if pointer is None:
        assert answer.status == 400
        return
    assert answer.status == 422, answer
    assert answer.json["errors"][0]["pointer"] == pointer, answer
    assert answer.json["errors"][0]["detail"]


@pytest.mark.parametrize("body", [
    b"{", b"", b'{"event_id":"x","event_type":"t"} {', b'{"event_id":"x","event_type":"t",}',
    b'{"event_id":"\xff","event_type":"t"}', b"[" * 65 + b"]" * 65,
    b'{"event_id":"x","event_type":"t","payload":{"n":01}}', b'{"event_id":"\\ud800","event_type":"t"}',
])
def test_bad_json_is_400_with_its_position(shared_server, body):
    answer = shared_server.post("/events", body)
    assert answer.status == 400, answer
    assert answer.json["type"].startswith("/problems/")
    assert "line" in answer.json["detail"] or body == b"", answer


def test_limits_of_events_and_bytes(shared_server):
    many = [event(f"limit-{i}") for i in range(1001)]
    assert shared_server.post("/events", many).status == 413
    assert shared_server.post("/events", many[:1000]).status == 202
    big = json.dumps(event("big", payload={"text": "x" * (1024 * 1024)}))
    answer = shared_server.post("/events", big)
    assert answer.status == 413
    padding = 1024 * 1024 - len(json.dumps(event("edge", payload={"text": ""})))
    edge = json.dumps(event("edge", payload={"text": "x" * padding}))
    assert len(edge) == 1024 * 1024
    assert shared_server.post("/events", edge).status == 202


def test_past_the_queue_s_depth_the_answer_is_503_and_nothing_is_stored(make_server):
    server = make_server("--queue-depth-max", "5")
    answer = server.post("/events", [event(f"q-{i}") for i in range(6)])
    assert answer.status == 503 and answer.headers["Retry-After"] == "1"
    assert "queue is full" in answer.json["detail"]
    assert server.summary()["received"] == 0
    assert server.post("/events", [event(f"q-{i}") for i in range(5)]).status == 202
    assert server.wait_idle()["processed"] == 5
    assert any("queue is full" in line["message"] for line in server.log_lines())


def test_wrong_media_type_route_method_and_query(shared_server):
    body = json.dumps(event("m"))
    answer = shared_server.post("/events", body, content_type="text/plain")
    assert answer.status == 415 and "application/json" in answer.json["detail"]
    assert shared_server.post("/events", body, content_type="application/json; charset=utf-8").status == 202
    assert shared_server.get("/event").status == 404
    answer = shared_server.request("DELETE", "/events")
    assert answer.status == 405
    assert {m.strip() for m in answer.headers["Allow"].split(",")} >= {"GET", "POST"}
    answer = shared_server.get("/events?custmer_id=1")
    assert answer.status == 400 and "customer_id" in answer.json["detail"]
    assert shared_server.get("/events?limit=0").status == 400
    assert shared_server.get("/events?cursor=zzz").status == 400
    assert shared_server.get("/events/nobody").status == 404


def test_a_duplicate_is_counted_and_has_no_second_effect(server):
    server.post("/campaigns", CREDIT)
    body = json.dumps(event("d-1", payload={"amount": 99}))
    for _ in range(3):
        assert server.post("/events", body).status == 202
    summary = server.wait_idle()
    assert (summary["processed"], summary["duplicate"], summary["matches"]) == (1, 2, 1)
    assert show(server, "d-1").json["duplicates"] == 2


def test_another_body_under_the_same_id_is_a_conflict(server):
    server.send(event("k-1", payload={"amount": 1}))
    server.wait_idle()
    server.send(event("k-1", payload={"amount": 2}))
    summary = server.wait_idle()
    assert (summary["processed"], summary["failed"]) == (1, 1)
    failure = server.get("/failed-events").json["failed_events"][0]
    assert failure["reason"] == "event_id_conflict" and failure["event_id"] == "k-1"
    assert json.loads(failure["body"])["payload"] == {"amount": 2}
    view = show(server, "k-1").json
    assert view["state"] == "processed" and view["event"]["payload"] == {"amount": 1}
    assert [f["reason"] for f in view["failures"]] == ["event_id_conflict"]


def test_names_that_repeat_inside_a_payload_are_kept_and_shown(server):
    body = '{"event_id":"r-1","event_type":"t","source":"web","payload":{"a":1,"a":2}}'
    assert server.post("/events", body).status == 202
    server.wait_idle()
    answer = show(server, "r-1", source="web")
    assert answer.json["source"] == "web" and answer.json["event_type"] == "t"
    assert b'{"a":1,"a":2}' in answer.body


def test_the_source_belongs_to_the_id(server):
    server.send(event("s-1", source="web"), event("s-1", source="pos", payload={"a": 1}))
    assert server.wait_idle()["processed"] == 2
    assert show(server, "s-1", source="web").json["event"] == event("s-1", source="web")
    assert show(server, "s-1", source="pos").json["event"]["payload"] == {"a": 1}
    assert show(server, "s-1", source="app").status == 404


def test_a_waiting_event_lends_its_bytes_to_no_other_source(server):
    server.send(event("b-1", source="web"), event("b-2"))
    server.wait_idle()
    assert server.stop() == 0
    queue = sqlite3.connect(server.folder / "queue.db")
    with queue:
        assert queue.execute("DELETE FROM raw_events WHERE event_id = 'b-1'").rowcount == 1
    queue.close()
    server.env = {"EVENTFLOW_TEST_FAULT": "worker.match~held=wait:60000@1+"}
    server.start()
    server.send(event("b-1", "held", source="pos"))
    if show(server, "b-1", source="pos").json["state"] != "queued":
        pytest.skip("this build has no test hooks")
    found = show(server, "b-1").json
    assert found["state"] == "processed" and found["event"] is None
    assert explain(server, "b-1") == ("web", "the bytes of the event are no longer kept")
    server.kill()


def explain(server, event_id):
    """The source that is explained, and what is said about it."""
    server.request("PUT", "/campaigns/c", {"name": "c", "rules": {"event_type": ["x"]}})
    answer = server.get(f"/events/{event_id}/explain?campaign=c").json
    return answer["source"], answer["judged"]["text"]


def test_ids_may_be_any_text(server):
    ids = ["a/b c", "ü€😀", "100%", "../x", "q?x=1&y=2", "#", '"quoted"', "x" * 128]
    server.send(*[event(i) for i in ids])
    server.wait_idle()
    for event_id in ids:
        assert show(server, event_id).json["event_id"] == event_id


def test_correlation_follows_header_trace_and_body(server):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = server.post("/events", event("c-1"),
                         headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert answer.json["correlation_id"] == trace and answer.headers["X-Correlation-Id"] == trace
    answer = server.post("/events", event("c-2"), headers={"X-Correlation-Id": "mine-7"})
    assert answer.json["correlation_id"] == "mine-7" and answer.headers["X-Correlation-Id"] == "mine-7"
    answer = server.post("/events", event("c-3", correlation_id="body-1"))
    assert answer.json["correlation_id"] == "body-1"
    answer = server.post("/events", event("c-4"), headers={"traceparent": "00-zz"})
    assert len(answer.json["correlation_id"]) == 32 and answer.headers["X-Correlation-Id"]
    server.wait_idle()
    assert show(server, "c-1").json["correlation_id"] == trace
    assert server.get("/nowhere").headers["X-Correlation-Id"]


def test_lists_filter_and_page_without_gaps(server):
    server.post("/campaigns", CREDIT)
    server.send(*[event(f"p-{i}", "purchase" if i % 2 else "signup", customer_id=f"c{i % 3}",
                        timestamp=f"2026-01-01T00:{i:02}:00Z", payload={"amount": 40 + i})
                  for i in range(40)])
    server.wait_idle()

    def walk(path, name):
        rows, cursor = [], ""
        for _ in range(100):
            answer = server.get(f"{path}{'&' if '?' in path else '?'}limit=7{cursor}").json
            rows += answer[name]
            if answer["next_cursor"] is None:
                return rows
            cursor = "&cursor=" + answer["next_cursor"]
        raise AssertionError("the pages never end")

    ids = [row["event_id"] for row in walk("/events", "events")]
    assert ids == [f"p-{i}" for i in reversed(range(40))]
    rows = walk("/events?customer_id=c1&event_type=signup", "events")
    assert [r["event_id"] for r in rows] == [f"p-{i}" for i in reversed(range(40))
                                             if i % 3 == 1 and i % 2 == 0]
    rows = walk("/events?from=2026-01-01T00:10:00Z&until=2026-01-01T00:20:00Z", "events")
    assert sorted(r["event_id"] for r in rows) == sorted(f"p-{i}" for i in range(10, 20))
    expected = [f"p-{i}" for i in reversed(range(11, 40)) if i % 2]
    assert [m["event_id"] for m in walk("/matches?campaign_id=credit", "matches")] == expected
    assert [m["event_id"] for m in walk("/matches", "matches")] == expected
    assert [m["event_id"] for m in walk("/matches?customer_id=c0", "matches")] == \
        [e for e in expected if int(e[2:]) % 3 == 0]


def test_all_matches_of_one_event_survive_paging(server):
    for i in range(5):
        server.post("/campaigns", {"id": f"all-{i}", "name": "n", "rules": {"event_type": ["t"]}})
    server.send(event("m-1", "t"), event("m-2", "t"))
    server.wait_idle()
    seen, cursor = [], ""
    for _ in range(20):
        page = server.get("/matches?limit=3" + cursor).json
        seen += [(m["event_id"], m["campaign_id"]) for m in page["matches"]]
        if page["next_cursor"] is None:
            break
        cursor = "&cursor=" + page["next_cursor"]
    assert sorted(seen) == sorted((f"m-{e}", f"all-{i}") for e in (1, 2) for i in range(5))


def test_many_connections_and_duplicates_end_in_exact_counts(server):
    server.post("/campaigns", CREDIT)

    def send(worker):
        for i in range(40):
            amount = i + worker
            server.post("/events", event(f"w{worker}-{i}", payload={"amount": amount}))
            if i % 10 == 0:  # the same again
                server.post("/events", event(f"w{worker}-{i}", payload={"amount": amount}))

    threads = [threading.Thread(target=send, args=(w,)) for w in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    summary = server.wait_idle()
    assert (summary["received"], summary["processed"], summary["duplicate"]) == (352, 320, 32)
    assert summary["matches"] == sum(i + w > 50 for w in range(8) for i in range(40))
