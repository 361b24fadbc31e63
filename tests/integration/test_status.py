"""Health, metrics, summary, logs, documents: what an operator sees."""
import json
import shutil
import subprocess

import pytest
from conftest import event, run, wait_until


def test_health_names_each_dependency_with_its_latency(server):
    health = server.get("/health").json
    assert health["status"] == "ok" and health["durability"] == "full"
    for name in ("queue", "store"):
        assert health["dependencies"][name]["status"] == "ok"
        assert health["dependencies"][name]["latency_ms"] >= 0
    assert server.get("/health/live").status == 200
    assert server.get("/health/ready").status == 200


def test_metrics_are_valid_and_count(server):
    server.post("/campaigns", {"id": "c", "name": "n", "rules": {"event_type": ["purchase"]}})
    server.send(event("m-1"), event("m-2"))
    server.send(event("m-1"))
    server.wait_idle()

    def scrape():
        text = server.get("/metrics", url=f"http://127.0.0.1:{server.metrics_port}").body.decode()
        values = dict(line.rsplit(" ", 1) for line in text.splitlines()
                      if line and not line.startswith("#"))
        return (text, values) if values.get("events_processed_total") == "2" and \
            values.get("queue_depth") == "0" else None

    text, values = wait_until(scrape, "the metrics to show two processed events")
    assert values["events_received_total"] == "3"
    assert values["events_duplicate_total"] == "1"
    assert values["events_failed_total"] == "0"
    for name in ("queue_depth", "pending_messages", "active_workers"):
        assert name in values
    assert any(k.startswith("event_processing_duration_seconds_bucket") for k in values)
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    result = subprocess.run([promtool, "check", "metrics"], input=text, text=True,
                            capture_output=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_metrics_answer_on_both_doors_and_the_second_serves_nothing_else(server):
    answer = server.get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    other = f"http://127.0.0.1:{server.metrics_port}"
    assert server.get("/health/live", url=other).status == 200
    assert server.get("/campaigns", url=other).status == 404
    assert server.post("/events", event("x"), url=other).status in (404, 405)


def test_the_summary_adds_up_and_has_rates(server):
    server.send(*[event(f"s-{i}") for i in range(50)])
    summary = server.wait_idle()
    assert summary["received"] == 50 == summary["processed"] + summary["failed"] + summary["duplicate"]
    assert summary["queue_depth"] == 0 and summary["oldest_waiting_age_seconds"] == 0
    wait_until(lambda: server.summary()["rates_per_second"]["received"]["1m"] > 0, "a rate")
    assert set(summary["rates_per_second"]["processed"]) == {"1m", "5m", "15m"}


def test_root_openapi_docs_and_problem_types(shared_server):
    root = shared_server.get("/").json
    assert root["name"] == "eventflow" and root["version"]
    for link in root["links"].values():
        assert shared_server.get(link).status == 200, link
    document = shared_server.get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    page = shared_server.get("/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    assert b"https://" not in page.body, "the page must not need the internet"
    problem = shared_server.get("/nowhere").json
    assert shared_server.get(problem["type"]).json["type"] == "not-found"


def test_head_is_answered_without_a_body(shared_server):
    answer = shared_server.request("HEAD", "/health")
    assert answer.status == 200 and answer.body == b""


def test_logs_are_json_with_correlation_and_without_payload(server):
    server.send(event("log-1", payload={"secret": "hunter2"}))
    server.wait_idle()
    server.send(event("log-1", payload={"secret": "hunter3"}))
    server.wait_idle()

    def failure_line():
        return next((line for line in server.log_lines() if line.get("event_id") == "log-1"), None)

    line = wait_until(failure_line, "the failure to be logged")
    assert line["level"] in ("WARNING", "WARN") and line["correlation_id"] and line["timestamp"]
    assert "hunter" not in server.log()
    for text in server.log().splitlines():
        json.loads(text)


def test_doctor_finds_nothing_beside_a_running_server_and_after_it(server):
    server.send(*[event(f"d-{i}") for i in range(30)])
    server.wait_idle()
    beside = run("doctor", "--data", server.folder)
    assert beside.returncode == 0, beside
    assert "accepted 30 = processed 30 + failed 0 + duplicate 0 + waiting 0" in beside.stdout
    server.stop()
    after = run("doctor", "--full", "--json", "--data", server.folder)
    assert after.returncode == 0 and json.loads(after.stdout)["problems"] == 0, after


def test_doctor_names_a_damaged_file(server):
    server.send(*[event(f"d-{i}", payload={"t": "x" * 500}) for i in range(300)])
    server.wait_idle()
    server.stop()
    path = server.folder / "queue.db"
    data = bytearray(path.read_bytes())
    data[len(data) // 2:len(data) // 2 + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    result = run("doctor", "--full", "--data", server.folder)
    assert result.returncode == 65 and "queue.db" in result.stdout, result
