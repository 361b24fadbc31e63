"""The command line's client side: send, campaign, events, failed."""
import json
import os
import subprocess

from conftest import BINARY, event, free_port, run

CAMPAIGN = {"id": "c", "name": "Over 50", "rules": {
    "event_type": ["purchase"], "payload": {"amount": [{"numeric": [">", 50]}]}}}


def lines(*events):
    return "".join(json.dumps(e) + "\n" for e in events)


def test_send_reads_files_and_standard_input(server, tmp_path):
    path = tmp_path / "events.ndjson"
    path.write_text(lines(*[event(f"f-{i}") for i in range(1200)]))
    result = run("send", path, "--url", server.url)
    assert result.returncode == 0 and "accepted 1200" in result.stderr + result.stdout
    result = run("send", "-", "--url", server.url, stdin=lines(event("stdin-1")))
    assert result.returncode == 0
    assert server.wait_idle()["processed"] == 1201
    assert run("send", path, "--url", server.url).returncode == 0
    summary = server.wait_idle()
    assert summary["processed"] == 1201 and summary["duplicate"] == 1200


def test_send_gives_ids_to_events_without_one_and_stays_repeatable(server):
    text = lines({"event_type": "t", "payload": {"n": 1}}, {"event_type": "t", "payload": {"n": 2}})
    for _ in range(2):
        assert run("send", "-", "--url", server.url, stdin=text).returncode == 0
    summary = server.wait_idle()
    assert summary["processed"] == 2 and summary["duplicate"] == 2


def test_send_draws_a_bar_on_a_terminal_only(server, tmp_path):
    path = tmp_path / "events.ndjson"
    path.write_text(lines(*[event(f"bar-{i}") for i in range(50)]))
    terminal, tty = os.openpty()
    process = subprocess.Popen([BINARY, "send", str(path), "--url", server.url], stderr=tty,
                               stdout=subprocess.PIPE)
    os.close(tty)
    shown = b""
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:
        pass  # the other side was closed
    assert process.wait(60) == 0 and b"accepted 50" in process.stdout.read()
    assert b"[##############################] 100 %  50 events" in shown
    os.close(terminal)
    assert "[#" not in run("send", path, "--url", server.url).stderr


def test_send_reports_rejected_lines_and_a_missing_server(server):
    result = run("send", "-", "--url", server.url,
                 stdin=lines(event("ok-1")) + "{broken\n" + lines({"event_id": "x"}))
    assert result.returncode == 65
    assert "line 2" in result.stderr and "line 3" in result.stderr
    assert server.wait_idle()["processed"] == 1
    result = run("send", "-", "--url", f"http://127.0.0.1:{free_port()}", "--retry-for", "1s",
                 stdin=lines(event("x")))
    assert result.returncode == 69
    assert run("send", "/no/such/file", "--url", server.url).returncode == 66


def test_campaign_apply_list_show_delete(server, tmp_path):
    path = tmp_path / "c.json"
    path.write_text(json.dumps(CAMPAIGN))
    assert "created" in run("campaign", "apply", path, "--url", server.url).stdout
    assert "unchanged" in run("campaign", "apply", path, "--url", server.url).stdout
    path.write_text(json.dumps({**CAMPAIGN, "name": "Other"}))
    assert "updated" in run("campaign", "apply", path, "--url", server.url).stdout
    assert server.get("/campaigns/c").json["version"] == 2
    listed = run("campaign", "list", "--url", server.url)
    assert "c" in listed.stdout and "Other" in listed.stdout
    shown = run("campaign", "show", "c", "--json", "--url", server.url)
    assert json.loads(shown.stdout)["name"] == "Other"
    path.write_text(json.dumps({**CAMPAIGN, "rules": {"were": ["x"]}}))
    bad = run("campaign", "apply", path, "--url", server.url)
    assert bad.returncode == 65 and "#/rules/were" in bad.stderr
    deleted = run("campaign", "delete", "c", "--json", "--url", server.url)
    assert deleted.returncode == 0 and json.loads(deleted.stdout) == {"deleted": ["c"]}
    assert run("campaign", "show", "c", "--url", server.url).returncode != 0
    assert server.get("/campaigns/c").status == 404


def test_events_show_and_failed_replay(server):
    server.send(event("e-1"))
    server.wait_idle()
    server.send(event("e-1", payload={"x": 1}))
    server.wait_idle()
    shown = run("events", "show", "e-1", "--url", server.url)
    assert shown.returncode == 0 and "processed" in shown.stdout
    assert run("events", "show", "nobody", "--url", server.url).returncode != 0
    failed = run("failed", "list", "--url", server.url)
    assert "event_id_conflict" in failed.stdout and "e-1" in failed.stdout
    assert run("failed", "replay", "--all", "--url", server.url).returncode == 0
    assert server.wait_idle()["replayed"] == 1


def test_a_lost_summary_is_no_success(server):
    """Everything is accepted, but nobody can read so."""
    with open("/dev/full", "w") as full:
        result = subprocess.run([BINARY, "send", "-", "--url", server.url], text=True, timeout=120,
                                input=lines(event("lost-1")), stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 74
    assert server.wait_idle()["processed"] == 1


def test_the_form_of_config_may_stand_anywhere():
    setting = "--listen=127.0.0.1:18080"
    assert json.loads(run("config", setting, "--json").stdout)["listen"] == "127.0.0.1:18080"
    for form in ("--env", "--markdown"):
        plain = run("config", form)
        assert plain.returncode == 0 and run("config", setting, form).stdout == plain.stdout
        for wrong in ("--lisen=127.0.0.1:1", "word", "--json"):
            result = run("config", form, wrong)
            assert result.returncode == 78 and result.stdout == "" and wrong[:7] in result.stderr
        assert run("config", form, env={"EVENTFLOW_LISTEN": "nonsense"}).stdout == plain.stdout
    assert run("config", setting, "--help").stdout.startswith("Usage: eventflow config")
