"""Campaigns change while events flow: every event is matched with what was answered before it.

What changes after an event was accepted and before it is processed may decide it too."""
import http.client
import json
import random
import threading

from conftest import event, run, wait_until

CAMPAIGNS = 16000  # 20,000 changes
WRITERS = 4


def rules_for(key):
    return {"event_type": ["purchase"], "payload": {"key": [key], "n": [{"numeric": [">=", 0]}]}}


def event_for(event_id, key):
    return event(event_id, payload={"key": key, "n": 1, "other": ["x", {"y": None}]})


class Writer(threading.Thread):
    """Creates, changes and deletes campaigns of its own over one connection, and sends an event for
    the one it has just changed: what that event may match is known."""

    def __init__(self, server, number, count):
        super().__init__()
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self.number, self.count = number, count
        self.chance = random.Random(number)
        self.states = {}  # campaign -> after each change the version in force, or None
        self.deleted = set()
        self.sent = {}  # event -> campaign, how many changes it had when it was sent
        self.error = None

    def request(self, method, path, body, status):
        self.connection.request(method, path, json.dumps(body) if body is not None else None,
                                {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status == status, (method, path, answer.status, text)
        return json.loads(text) if text else None

    def put(self, campaign, active):
        status = 201 if campaign not in self.states or campaign in self.deleted else 200
        body = {"name": campaign, "rules": rules_for(campaign),
                "status": "active" if active else "paused"}
        answer = self.request("PUT", f"/campaigns/{campaign}", body, status)
        self.deleted.discard(campaign)
        self.states.setdefault(campaign, []).append(answer["version"] if active else None)

    def delete(self, campaign):
        self.request("DELETE", f"/campaigns/{campaign}", None, 204)
        self.states[campaign].append(None)
        self.deleted.add(campaign)

    def step(self, made):
        """One change; returns the campaign. Most are made, some changed, paused or deleted."""
        old = f"w{self.number}-{self.chance.randrange(made)}" if made > 0 else None
        what = self.chance.random()
        if old is None or what < 0.8:
            self.put(f"w{self.number}-{made}", True)
            return f"w{self.number}-{made}"
        if what < 0.9 or old in self.deleted:
            self.put(old, self.chance.random() < 0.7)
        else:
            self.delete(old)
        return old

    def send(self, campaign):
        event_id = f"e{self.number}-{len(self.sent)}"
        self.request("POST", "/events", event_for(event_id, campaign), 202)
        self.sent[event_id] = campaign, len(self.states[campaign])

    def run(self):
        try:
            while len(self.states) < self.count:
                campaign = self.step(len(self.states))
                if self.chance.random() < 0.3:
                    self.send(campaign)
                    self.send(f"w{self.number}-{self.chance.randrange(len(self.states))}")
        except Exception as error:
            self.error = error


def decided(server):
    """event -> (campaign, version), for events with a match; and all that were processed."""
    matches = {}
    for event_id, campaign, version in server.sql(
            "SELECT p.event_id, m.campaign_id, m.campaign_version "
            "FROM matches AS m JOIN processed AS p ON p.seq = m.seq"):
        assert event_id not in matches, "an event matched two campaigns"
        matches[event_id] = (campaign, version)
    return matches, {row[0] for row in server.sql("SELECT event_id FROM processed")}


def gauge(server, name):
    text = server.get("/metrics", url=f"http://127.0.0.1:{server.metrics_port}").body.decode()
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith(name + " ")))


def test_every_event_is_matched_with_what_was_answered_before_it(make_server):
    server = make_server("--log-level", "warn")
    writers = [Writer(server, i, CAMPAIGNS // WRITERS) for i in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.error is None, writer.error
    server.wait_idle()
    states = {k: v for w in writers for k, v in w.states.items()}
    sent = {k: v for w in writers for k, v in w.sent.items()}
    matches, processed = decided(server)
    assert processed == set(sent)
    by_a_later_change = 0
    for event_id, (campaign, count) in sent.items():
        matched, version = matches.get(event_id, (campaign, None))
        assert matched == campaign and version in states[campaign][count - 1:], event_id
        by_a_later_change += version != states[campaign][count - 1]
    assert by_a_later_change < len(sent) / 100
    assert len(matches) > 1000 and len(sent) - len(matches) > 100
    live = {campaign: of[-1] for campaign, of in states.items() if of[-1] is not None}
    for name in ("matcher_rules", "campaigns_active"):
        wait_until(lambda: gauge(server, name) == len(live), f"{name} to follow")
    assert gauge(server, "matcher_build_duration_seconds_count") > 1
    # The same after a new start.
    assert server.stop() == 0
    server.start()
    sample = random.Random(1).sample(sorted(states), 500)
    server.send(*(event_for(f"again-{campaign}", campaign) for campaign in sample))
    server.wait_idle()
    matches, _ = decided(server)
    for campaign in sample:
        version = live.get(campaign)
        assert matches.get(f"again-{campaign}") == (
            None if version is None else (campaign, version)), campaign
    assert server.stop() == 0
    doctor = run("doctor", "--full", "--data", server.folder)
    assert doctor.returncode == 0, doctor.stdout


def test_a_set_beyond_its_memory_is_refused_and_the_old_one_stays(make_server):
    server = make_server("--matcher-memory-max", "512KiB")

    def matched(key):
        matched.count += 1
        server.send(event_for(f"m-{matched.count}", key))
        server.wait_idle()
        return [m["campaign_id"] for m in server.get(f"/events/m-{matched.count}").json["matches"]]
    matched.count = 0

    made = 1000  # of 1,000 bytes each
    for i in range(made):
        assert server.post("/campaigns", {"id": f"c-{i}", "name": "n",
                                          "rules": rules_for(f"c-{i}" + "x" * 1000)}).status == 201
        if i == 99:  # the rest may come to the worker as one change, which is refused whole
            wait_until(lambda: gauge(server, "matcher_rules") == 100, "a set to stay in force")
    wait_until(lambda: gauge(server, "matcher_refused") == 1, "the set to be refused")
    rules = gauge(server, "matcher_rules")
    assert 0 < rules < made
    server.post("/campaigns", {"id": "late", "name": "n", "rules": rules_for("late")})
    assert matched("c-0" + "x" * 1000) == ["c-0"] and matched("late") == []
    assert gauge(server, "matcher_rules") == rules
    assert sum("matcher-memory-max" in line["message"] for line in server.log_lines()) == 1
    assert gauge(server, "matcher_refused_total") >= 1
    for i in range(1, made):
        assert server.request("DELETE", f"/campaigns/c-{i}").status == 204
    wait_until(lambda: gauge(server, "matcher_refused") == 0, "the set to be accepted")
    assert matched("late") == ["late"] and matched("c-0" + "x" * 1000) == ["c-0"]
    assert matched("c-1" + "x" * 1000) == []
