"""kill -9 at any moment: nothing acknowledged is lost, nothing takes effect twice."""
import http.client
import json
import random
import threading

from conftest import event, run, wait_until

CAMPAIGN = {"id": "big", "name": "n", "rules": {"payload": {"n": [{"numeric": [">=", 500]}]}}}


def test_kill_and_restart_keeps_what_was_acknowledged(make_server):
    server = make_server()
    server.post("/campaigns", CAMPAIGN)
    acknowledged = set()
    stop = threading.Event()

    def load(worker):
        number = 0
        while not stop.is_set() and number < 5000:
            batch = [event(f"w{worker}-{number + i}", payload={"n": (number + i) % 1000})
                     for i in range(20)]
            number += 20
            try:
                answer = server.post("/events", batch)
            except OSError:
                continue
            if answer.status == 202:
                acknowledged.update((e["event_id"], e["payload"]["n"]) for e in batch)

    chance = random.Random(7)
    for round_number in range(5):
        threads = [threading.Thread(target=load, args=(f"{round_number}.{w}",)) for w in range(4)]
        stop.clear()
        for thread in threads:
            thread.start()
        target = len(acknowledged) + chance.randrange(100, 400)
        wait_until(lambda: len(acknowledged) >= target, "some acknowledgements")
        server.kill()
        stop.set()
        for thread in threads:
            thread.join()
        server.start()
    summary = server.wait_idle()
    processed = {row[0] for row in server.sql("SELECT event_id FROM processed_events")}
    assert {e for e, _ in acknowledged} <= processed
    counts = server.sql("SELECT event_id, count(*) FROM processed_events GROUP BY 1 HAVING count(*) > 1")
    assert counts == []
    matched = {row[0] for row in server.sql("SELECT event_id FROM campaign_matches")}
    assert matched >= {e for e, n in acknowledged if n >= 500}
    assert summary["processed"] == len(processed)
    assert summary["received"] == summary["processed"] + summary["failed"] + summary["duplicate"]
    assert run("doctor", "--full", "--data", server.folder).returncode == 0


def test_a_send_that_was_interrupted_can_be_repeated(make_server, tmp_path):
    server = make_server()
    server.post("/campaigns", CAMPAIGN)
    path = tmp_path / "events.ndjson"
    path.write_text("".join(json.dumps(event(f"s-{i}", payload={"n": i % 1000})) + "\n"
                            for i in range(5000)))
    sender = threading.Thread(target=lambda: run("send", path, "--url", server.url, "--batch", "50",
                                                 "--retry-for", "60s"))
    sender.start()
    wait_until(lambda: server.summary()["received"] > 500, "half of the events")
    server.kill()
    server.start()
    sender.join()
    result = run("send", path, "--url", server.url)
    assert result.returncode == 0, result
    summary = server.wait_idle()
    assert summary["processed"] == 5000 and summary["failed"] == 0
    assert summary["matches"] == 2500


def test_campaigns_and_failures_survive_a_kill(make_server):
    server = make_server()
    server.post("/campaigns", CAMPAIGN)
    server.send(event("a"))
    server.wait_idle()
    server.send(event("a", payload={"n": 1}))
    server.wait_idle()
    server.kill()
    server.start()
    assert server.get("/campaigns/big").json["version"] == 1
    assert server.get("/failed-events").json["failed_events"][0]["event_id"] == "a"
    server.send(event("a"))
    assert server.wait_idle()["duplicate"] == 1


def test_sigterm_under_load_fails_no_request(make_server):
    """Clients on open connections are answered until they are refused a new one."""
    server = make_server()
    acknowledged, faults = [], []

    def load(worker):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        for number in range(100000):
            body = json.dumps(event(f"t{worker}-{number}"))
            try:
                connection.request("POST", "/events", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
            except ConnectionRefusedError:
                return
            except OSError as error:
                faults.append(repr(error))
                return
            if answer.status != 202:
                faults.append(answer.status)
            acknowledged.append(f"t{worker}-{number}")

    threads = [threading.Thread(target=load, args=(w,)) for w in range(6)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(acknowledged) > 300, "some acknowledgements")
    assert server.stop() == 0
    for thread in threads:
        thread.join()
    assert faults == []
    server.start()
    server.wait_idle()
    processed = {row[0] for row in server.sql("SELECT event_id FROM processed_events")}
    assert processed == set(acknowledged)
