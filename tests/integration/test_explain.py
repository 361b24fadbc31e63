"""Why an event matches a campaign or not: over HTTP and on the command line."""
import json
import os
import pty
import subprocess
import urllib.parse

import pytest

from conftest import BINARY, event, run, wait_until

OVER_50 = {"id": "over-50", "name": "Over 50", "rules": {
    "event_type": ["purchase"], "payload": {"amount": [{"numeric": [">", 50]}]}},
    "then": [{"type": "credit", "amount": 10, "unit": "USD"}]}
VIP = {"id": "vip", "name": "VIP", "rules": {"event_type": ["purchase"], "$or": [
    {"customer_id": ["c1"], "payload": {"amount": [1]}}, {"payload": {"vip": [True]}}]}}


def explain(server, event_id, expected=200, **query):
    path = f"/events/{urllib.parse.quote(event_id, safe='')}/explain"
    answer = server.get(path + ("?" + urllib.parse.urlencode(query) if query else ""))
    assert answer.status == expected, answer
    return answer.json


def put(server, campaign):
    answer = server.request("PUT", f"/campaigns/{campaign['id']}", campaign)
    assert answer.status in (200, 201), answer
    return answer.json["version"]


def put_live(server, campaign):
    """Saves it and waits until the worker matches with it."""
    version = put(server, campaign)
    tries = iter(range(100000))

    def is_live():
        probe = f"probe-{campaign['id']}-{version}-{next(tries)}"
        server.send(event(probe, payload={"amount": 99, "vip": True}))
        server.wait_idle()
        matches = server.get(f"/events/{probe}").json["matches"]
        return {"campaign_id": campaign["id"], "campaign_version": version} in [
            {k: m[k] for k in ("campaign_id", "campaign_version")} for m in matches]
    wait_until(is_live, "the campaign to be matched")
    return version


@pytest.fixture(scope="module")
def engine(shared_server):
    """Two active campaigns that the worker knows, and events before and behind every condition."""
    for campaign in (OVER_50, VIP):
        put_live(shared_server, campaign)
    shared_server.send(event("big", payload={"amount": 75}),
                       event("small", payload={"amount": 20}),
                       event("text", payload={"amount": "75"}),
                       event("a/b c", payload={"amount": 50}),
                       event("two", source="web", payload={"amount": 1}),
                       event("two", source="app", payload={"amount": 60}))
    shared_server.wait_idle()
    return shared_server


def test_the_first_failing_leaf_in_words(engine):
    answer = explain(engine, "text", campaign="over-50")
    judged = answer["judged"]
    assert judged["matches"] is False and (judged["failing"], judged["conditions"]) == (1, 2)
    text = 'payload.amount is the string "75"; numeric conditions only match numbers'
    assert judged["reason"] == {"path": "payload.amount", "expected": [{"numeric": [">", 50]}],
                                "actual": "75", "absent": False, "text": text}
    assert judged["text"] == text
    assert answer["decided"]["status"] == "not_matched" and answer["state"] == "processed"
    assert explain(engine, "small", campaign="over-50")["judged"]["reason"]["text"] == \
        "payload.amount is 20; it must be more than 50"
    assert explain(engine, "a/b c", campaign="over-50")["judged"]["reason"]["text"] == \
        "payload.amount is 50; it must be more than 50"


def test_a_match_names_the_version_in_force(engine):
    answer = explain(engine, "big", campaign="over-50")
    assert answer["judged"]["matches"] is True and answer["judged"]["reason"] is None
    decided = answer["decided"]
    assert decided["status"] == "matched" and decided["campaign_version"] == 1
    match = engine.get("/events/big").json["matches"][0]
    assert decided["at"] == match["matched_at"]


def test_the_nearest_branch_is_explained(engine):
    judged = explain(engine, "small", campaign="vip")["judged"]
    assert judged["reason"]["path"] == "payload.vip" and judged["reason"]["absent"] is True
    assert judged["reason"]["actual"] is None
    assert judged["branch"] == {"number": 2, "count": 2, "conditions": [
        {"path": "payload.vip", "expected": [True]}]}


def test_decided_then_is_apart_from_judged_now(make_server):
    server = make_server()
    put_live(server, OVER_50)
    server.send(event("e", payload={"amount": 60}), event("f", payload={"amount": 40}))
    server.wait_idle()
    stricter = json.loads(json.dumps(OVER_50))
    stricter["rules"]["payload"]["amount"] = [{"numeric": [">", 70]}]
    assert put(server, stricter) == 2
    now = explain(server, "e", campaign="over-50")
    assert now["campaign"]["version"] == now["judged"]["campaign_version"] == 2
    assert now["judged"]["matches"] is False
    assert now["decided"]["status"] == "matched" and now["decided"]["campaign_version"] == 1
    assert "stored after" in now["decided"]["note"]
    then = explain(server, "e", campaign="over-50", version=1)
    assert then["judged"]["matches"] is True and then["campaign"]["newest_version"] == 2
    assert "note" not in then["decided"]
    problem = explain(server, "e", 404, campaign="over-50", version=3)
    assert "has no version 3" in problem["detail"]
    # Deleted ones are explained as well, and stay out of the list.
    assert server.request("DELETE", "/campaigns/over-50").status == 204
    for asked in ({}, {"version": 2}):
        deleted = explain(server, "f", campaign="over-50", **asked)
        assert deleted["campaign"]["deleted"] is True and deleted["judged"]["matches"] is False
        # The time is the version's own, not that of its deletion.
        assert deleted["campaign"]["updated_at"] == now["campaign"]["updated_at"]
        assert "stored after" in deleted["decided"]["note"]
    assert explain(server, "f")["campaigns"] == []
    shown = run("explain", "f", "over-50", "--url", server.url)
    assert shown.returncode == 0 and "(version 2, deleted)" in shown.stdout


def test_paused_campaigns_are_explained_but_not_listed(make_server):
    server = make_server()
    put(server, {**OVER_50, "status": "paused"})
    server.send(event("p", payload={"amount": 75}))
    server.wait_idle()
    answer = explain(server, "p", campaign="over-50")
    assert answer["campaign"]["status"] == "paused"
    assert answer["judged"]["matches"] is True and answer["decided"]["status"] == "not_matched"
    assert explain(server, "p")["campaigns"] == []


def test_failed_events_are_explained(make_server):
    server = make_server()
    put(server, OVER_50)
    server.send(event("same", payload={"amount": 10}))
    server.wait_idle()
    server.send(event("same", payload={"amount": 90}))
    server.wait_idle()
    # The processed one goes before the conflicting copy in the dead letter.
    answer = explain(server, "same", campaign="over-50")
    assert answer["state"] == "processed" and answer["judged"]["reason"]["actual"] == 10


def test_a_failed_event_shows_its_failure_and_is_judged(make_server):
    server = make_server("--retry-backoff", "10ms",
                         env={"EVENTFLOW_TEST_FAULT": "worker.match~poison=fail@1+"})
    put(server, OVER_50)
    server.send(event("bad", "poison", payload={"amount": 20}))
    if server.wait_idle()["failed"] == 0:
        pytest.skip("this build has no test hooks")
    answer = explain(server, "bad", campaign="over-50")
    assert answer["state"] == "failed" and answer["decided"]["status"] == "failed"
    assert answer["decided"]["failure"] and answer["decided"]["at"]
    assert answer["judged"]["reason"]["path"] == "event_type" and answer["judged"]["failing"] == 2
    assert explain(server, "bad")["decided"]["status"] == "failed"
    shown = run("explain", "bad", "over-50", "--url", server.url)
    assert f"decided   failed ({answer['decided']['failure']}), 20" in shown.stdout


def test_waiting_events_are_judged_before_they_are_decided(make_server):
    server = make_server(env={"EVENTFLOW_TEST_FAULT": "worker.match~held=wait:60000@1+"})
    put(server, OVER_50)
    server.send(event("w", "held", source="web", payload={"amount": 20}))
    answer = explain(server, "w", campaign="over-50", source="web")
    if answer["state"] != "queued":
        pytest.skip("this build has no test hooks")
    assert explain(server, "w", campaign="over-50")["source"] == "web"
    assert answer["decided"] == {"status": "waiting", "at": None}
    assert answer["judged"]["reason"]["path"] == "event_type"
    explain(server, "w", 404, campaign="over-50", source="app")
    shown = run("explain", "w", "over-50", "--url", server.url)
    assert "decided   waiting\n" in shown.stdout
    server.kill()


def test_the_source_chooses_among_events_with_one_id(engine):
    web = explain(engine, "two", campaign="over-50", source="web")
    app = explain(engine, "two", campaign="over-50", source="app")
    assert web["source"] == "web" and web["judged"]["matches"] is False
    assert app["source"] == "app" and app["judged"]["matches"] is True
    assert app["decided"]["status"] == "matched"
    explain(engine, "two", 404, campaign="over-50", source="elsewhere")


def test_without_a_campaign_one_line_for_each_active_one(engine):
    page = explain(engine, "big")
    rows = {row["campaign_id"]: row for row in page["campaigns"]}
    assert list(rows) == ["over-50", "vip"] and page["next_cursor"] is None
    assert page["decided"]["status"] == "processed" and page["decided"]["match_count"] == 1
    assert rows["over-50"]["matches"] is True
    assert rows["over-50"]["decided"]["status"] == "matched"
    assert rows["vip"]["matches"] is False
    assert rows["vip"]["decided"]["status"] == "not_matched"
    assert rows["vip"]["text"] == "payload.vip is absent; it must be true"


def test_the_list_is_paged(make_server):
    server = make_server()
    ids = [f"c-{i:03}" for i in range(45)]  # more than are read from the store at once
    for name in ids:
        put(server, {**OVER_50, "id": name, "name": name})
    server.send(event("e", payload={"amount": 20}))
    server.wait_idle()
    assert [r["campaign_id"] for r in explain(server, "e", limit=44)["campaigns"]] == ids[:44]
    seen, cursor = [], {}
    while True:
        page = explain(server, "e", limit=7, **cursor)
        assert len(page["campaigns"]) <= 7
        seen += [row["campaign_id"] for row in page["campaigns"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == ids
    explain(server, "e", 400, cursor="e5")
    explain(server, "e", 400, limit=1001)
    listed = run("explain", "e", "--limit", "0", "--json", "--url", server.url)
    rows = json.loads(listed.stdout)
    assert [row["campaign_id"] for row in rows["campaigns"]] == ids
    assert rows["event_id"] == "e" and rows["next_cursor"] is None


@pytest.mark.parametrize("query, status, word", [
    ({"campaign": "nobody"}, 404, "no campaign"),
    ({"campaign": ""}, 400, "campaign must be"),
    ({"campaign": "over-50", "version": "0"}, 400, "version must be"),
    ({"campaign": "over-50", "version": "x"}, 400, "version must be"),
    ({"campaign": "over-50", "version": "9223372036854775807"}, 404, "has no version"),
    ({"campaign": "over-50", "version": "9223372036854775808"}, 400, "version must be"),
    ({"version": "1"}, 400, "version needs"),
    ({"campaign": "over-50", "limit": "5"}, 400, "limit and cursor"),
    ({"campain": "over-50"}, 400, "did you mean"),
])
def test_bad_questions_are_told(engine, query, status, word):
    problem = explain(engine, "big", status, **query)
    assert word in problem["detail"], problem


def test_events_that_nobody_knows(engine):
    assert "no event" in explain(engine, "nobody", 404)["detail"]
    explain(engine, "x" * 129, 404, campaign="over-50")


# ---- POST /campaigns:test ------------------------------------------------------------------------

def without_server_part(campaign):
    return {k: v for k, v in campaign.items() if k != "id"}


def counts(server):
    return (server.sql("SELECT count(*) FROM campaign_versions"),
            server.sql("SELECT count(*) FROM processed_events"), server.summary()["received"])


def test_a_test_stores_nothing(engine):
    before = counts(engine)
    answer = engine.post("/campaigns:test", {
        "campaign": without_server_part(OVER_50), "event": event("t", payload={"amount": 20})})
    assert answer.status == 200 and answer.json["matches"] is False
    assert answer.json["reason"]["text"] == "payload.amount is 20; it must be more than 50"
    answer = engine.post("/campaigns:test", {
        "campaign": {**OVER_50, "status": "draft"},
        "event": {"event_type": "purchase", "payload": {"amount": 75}}})
    assert answer.json["matches"] is True and answer.json["reason"] is None
    assert answer.json["then"] == OVER_50["then"] and answer.json["status"] == "draft"
    assert counts(engine) == before


def test_problems_of_a_test_stand_below_their_document(engine):
    def pointers(body, status=422):
        answer = engine.post("/campaigns:test", body)
        assert answer.status == status, answer
        assert answer.headers["Content-Type"] == "application/problem+json"
        return [e["pointer"] for e in answer.json.get("errors", [])]

    good = event("t")
    assert pointers({"campaign": {"name": "x", "rules": {"payload": {"a": 5}}}, "event": good}) == \
        ["#/campaign/rules/payload/a"]
    assert pointers({"campaign": OVER_50, "event": {"event_id": "", "payload": 3}}) == \
        ["#/event/event_id", "#/event/payload", "#/event/event_type"]
    assert pointers({"campaign": 5, "event": []}) == ["#/campaign", "#/event"]
    assert pointers({}) == ["#/campaign", "#/event"]
    assert pointers([]) == ["#"]
    assert pointers({"campaign": OVER_50, "event": good, "evnt": 1}) == ["#/evnt"]
    assert pointers('{"campaign":{},"campaign":{},"event":{}}')[0] == "#/campaign"
    assert pointers("{", 400) == []
    assert pointers('{"campaign":{},"event":{}} x', 400) == []
    assert engine.post("/campaigns:test", "x", content_type="text/plain").status == 415
    assert engine.get("/campaigns:test").status == 405


def test_a_name_repeated_in_the_event_counts_with_all_its_values(engine):
    body = '{"campaign":%s,"event":{"event_type":"purchase","payload":{"amount":1,"amount":60}}}'
    answer = engine.post("/campaigns:test", body % json.dumps(OVER_50))
    assert answer.status == 200 and answer.json["matches"] is True


# ---- eventflow explain ---------------------------------------------------------------------------

def test_the_command_tells_it_to_people(engine):
    shown = run("explain", "text", "over-50", "--url", engine.url)
    assert shown.returncode == 0, shown
    assert shown.stdout.splitlines()[:4] == [
        "text does not match over-50 (version 1, active)",
        '  payload.amount is the string "75"; numeric conditions only match numbers',
        '  expected  [{"numeric":[">",50]}]',
        '  actual    "75"']
    assert "decided   not matched, 20" in shown.stdout
    shown = run("explain", "big", "over-50", "--version", "1", "--url", engine.url)
    assert shown.stdout.startswith("big matches over-50 (version 1, active)")
    assert "decided   matched by version 1, 20" in shown.stdout
    wide = {"name": "Wide", "rules": {"$or": [
        {"event_type": ["refund"], "payload": {f"p{i}": [{"exists": False}] for i in range(12)}},
        {"customer_id": ["nobody"], "payload": {"amount": [0]}}]}}
    put(engine, {**wide, "id": "wide", "status": "paused"})
    near = run("explain", "small", "wide", "--url", engine.url).stdout
    assert "branch    1 of 2 comes nearest: [" in near and near.splitlines()[5].endswith("] and 3 more")
    near = run("explain", "small", "vip", "--url", engine.url).stdout
    assert "branch    2 of 2 comes nearest" in near and "actual    (absent)" in near


@pytest.mark.parametrize("operands, what", [(("",), "event"), (("", "vip"), "event"),
                                            (("big", ""), "campaign")])
def test_the_command_refuses_empty_names(engine, operands, what):
    refused = run("explain", *operands, "--url", engine.url)
    assert refused.returncode == 64 and refused.stdout == ""
    assert f"the {what} is empty" in refused.stderr


def test_the_command_lists_all_active_campaigns(engine):
    lines = run("explain", "big", "--url", engine.url).stdout.splitlines()
    assert lines[0].startswith("big: processed 20")
    assert lines[2].split() == ["NOW", "CAMPAIGN", "VERSION", "DECIDED", "WHY"]
    assert lines[3].startswith("yes  over-50   1        matched by version 1")
    assert lines[4].startswith("no   vip ") and "payload.vip is absent" in lines[4]
    assert "(there are more" in run("explain", "big", "--limit", "1", "--url", engine.url).stdout


def test_the_command_gives_the_server_s_json(engine):
    shown = run("explain", "two", "over-50", "--source", "web", "--json", "--url", engine.url)
    answer = json.loads(shown.stdout)
    assert answer["source"] == "web" and answer["judged"]["matches"] is False


def test_marks_are_for_terminals_only(engine):
    def on_terminal(*args):
        main, side = pty.openpty()
        process = subprocess.Popen([BINARY, "explain", *args, "--url", engine.url], stdout=side)
        os.close(side)
        shown = b""
        try:
            while part := os.read(main, 4096):
                shown += part
        except OSError:
            pass  # the other side was closed
        os.close(main)
        assert process.wait(60) == 0
        return shown.decode()

    assert on_terminal("big", "over-50").startswith("✓ big matches over-50")
    assert on_terminal("small", "over-50").startswith("✗ small does not match over-50")
    assert "✗    vip" in on_terminal("big")
    for args in (("big", "over-50"), ("big",)):
        plain = run("explain", *args, "--url", engine.url).stdout
        assert "✓" not in plain and "✗" not in plain


def test_wrong_use_of_the_command(engine):
    for args, code, word in (((), 64, "which event"), (("e", "c", "x"), 64, "too many"),
                             (("e", "--version", "1"), 64, "--version needs"),
                             (("big", "over-50", "--version", "7"), 1, "no version 7"),
                             (("nobody", "over-50"), 1, "no event")):
        result = run("explain", *args, "--url", engine.url)
        assert result.returncode == code and word in result.stderr, result
        assert result.stdout == ""
    shown = run("explain", "--help")
    assert shown.returncode == 0 and "EVENT [CAMPAIGN]" in shown.stdout
