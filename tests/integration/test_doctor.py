"""The doctor finds what is wrong with a data folder, names it, and changes nothing."""
import json
import os
import re
import shutil
import sqlite3
import subprocess

import pytest
from backups import needs_strace, strace
from conftest import BINARY, ROOT, event, run
from server import Server

CAMPAIGN = {"id": "all", "name": "all", "rules": {"event_type": ["purchase"]}}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def doctor(folder, *flags):
    """The exit code and the findings: check -> list of (finding, detail)."""
    result = run("doctor", "--data", folder, "--json", *flags)
    findings = {}
    for one in json.loads(result.stdout)["findings"]:
        findings.setdefault(one["check"], []).append((one["finding"], one["detail"]))
    return result.returncode, findings


def problems(findings):
    return [(check, detail) for check, of in findings.items() for kind, detail in of
            if kind == "problem"]


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A stopped folder with a row in every table: processed, duplicate, failed, replayed, retry."""
    server = Server(tmp_path_factory.mktemp("doctor") / "data").start()
    for number in ("all", "gone"):
        server.post("/campaigns", {**CAMPAIGN, "id": number})
    server.request("DELETE", "/campaigns/gone")
    server.send(*[event(f"d-{n}", payload={"text": f"text-{n}"}) for n in range(20)])
    server.post("/events", event("d-traced"), headers={"traceparent": TRACE})
    server.send(event("d-0", payload={"text": "text-0"}))
    server.send(event("d-1", payload={"text": "another one"}))
    server.wait_idle()
    failure = server.get("/failed-events").json["failed_events"][0]["id"]
    server.post(f"/failed-events/{failure}/replay", "")
    server.wait_idle()
    assert server.stop() == 0
    return server.folder


@pytest.fixture
def folder(filled, tmp_path):
    return shutil.copytree(filled, tmp_path / "data")


def change(folder, name, sql):
    connection = sqlite3.connect(folder / name, isolation_level=None)
    connection.execute(sql)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def test_it_says_which_process_runs_and_how_the_last_one_ended(make_server):
    server = make_server()
    server.send(event("d-0"))
    server.wait_idle()
    code, findings = doctor(server.folder)
    assert code == 0 and findings["lock"] == [("ok", f"process {server.process.pid} (eventflow) "
                                                     "runs on it")]
    pid = server.process.pid
    server.kill()
    code, findings = doctor(server.folder)
    assert code == 0 and findings["lock"][0][0] == "warning"
    assert f"pid {pid}" in findings["lock"][0][1] and "not end cleanly" in findings["lock"][0][1]
    server.start()
    assert server.stop() == 0
    assert doctor(server.folder)[1]["lock"] == [
        ("ok", "no process runs on it, the last one ended cleanly")]


def test_it_tests_the_disk_with_a_synced_write_and_leaves_nothing(folder):
    before = sorted(os.listdir(folder))
    code, findings = doctor(folder)
    assert code == 0 and any("synced in" in detail for _, detail in findings["disk"])
    left = set(os.listdir(folder)) - set(before)
    assert left <= {"eventflow.db-wal", "eventflow.db-shm"}, left


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="no file system in memory")
def test_it_warns_of_a_file_system_that_forgets(filled):
    folder = f"/dev/shm/eventflow-doctor-{os.getpid()}"
    shutil.copytree(filled, folder)
    try:
        code, findings = doctor(folder)
    finally:
        shutil.rmtree(folder)
    assert code == 0 and "tmpfs" in findings["file system"][0][1]


def test_it_names_the_schema_versions_and_a_newer_one(folder):
    code, findings = doctor(folder)
    assert code == 0
    for name in ("queue.db", "eventflow.db"):
        assert findings[name][0][1].startswith("schema version ")
        change(folder, name, "PRAGMA user_version = 99")
    code, findings = doctor(folder)
    assert code == 65 and all("newer" in findings[n][0][1] for n in ("queue.db", "eventflow.db"))


def test_files_of_two_histories_are_told_apart(make_server, filled, tmp_path):
    """The counts of both fit; only the events differ."""
    accepted = 23
    other = make_server(folder="other")
    other.send(*[event(f"x-{n}") for n in range(accepted)])
    other.wait_idle()
    assert other.stop() == 0
    mixed = shutil.copytree(filled, tmp_path / "mixed")
    (mixed / "queue.db").unlink()
    shutil.copy(tmp_path / "other/queue.db", mixed / "queue.db")
    code, findings = doctor(mixed)
    assert code == 65 and "do not belong together" in findings["pair"][0][1]


def test_results_without_their_message_are_found(folder):
    change(folder, "queue.db", "DELETE FROM raw_events WHERE seq = 5")
    code, findings = doctor(folder, "--full")
    assert code == 65
    assert ("problem", "message 5 was processed, but queue.db does not have it") in findings["pair"]


def test_books_that_do_not_add_up_are_found(folder):
    change(folder, "eventflow.db",
           "UPDATE counters SET value = value - 1 WHERE name = 'processed'")
    code, findings = doctor(folder)
    assert code == 65 and findings["books"][0][0] == "problem"


def test_a_folder_that_is_not_there_yet_is_no_problem(tmp_path):
    code, findings = doctor(tmp_path / "nowhere")
    assert code == 0 and findings["data"][0][0] == "warning"


def test_an_empty_folder_is_no_problem_and_one_that_lost_its_databases_is(tmp_path):
    code, findings = doctor(tmp_path)
    assert code == 0 and findings["data"][0][0] == "warning" and not problems(findings)
    assert "disk" in findings
    for name in ("eventflow.db-wal", "queue.db-wal", "eventflow.db", "queue.db"):
        (tmp_path / name).write_text("")
        assert doctor(tmp_path)[0] == 65, name
        (tmp_path / name).unlink()


def test_a_process_whose_lock_file_was_deleted_is_seen(make_server):
    server = make_server()
    (server.folder / "eventflow.lock").unlink()
    code, findings = doctor(server.folder)
    assert code == 0 and findings["lock"][0][0] == "warning"
    assert "lock file was deleted" in findings["lock"][0][1]
    assert server.stop() == 0
    assert doctor(server.folder)[1]["lock"] == [("ok", "no process has run on it yet")]


def test_troubleshooting_has_a_row_for_whatever_the_doctor_sends_there():
    table = (ROOT / "docs/troubleshooting.md").read_text()
    for row in ("PROBLEM `books`", "PROBLEM `pair`", "database is locked", "older schema",
                "PROBLEM `disk`, `file system`", "warning `lock`", "`exit 65` naming a file"):
        assert row in table, row


@needs_strace
def test_beside_a_program_the_log_is_read_also_while_it_is_empty(folder, make_server):
    """Else what the program commits meanwhile would look like damage."""
    server = make_server(folder=folder.name)
    for name in ("queue.db", "eventflow.db"):
        assert (folder / f"{name}-wal").exists()
    assert (folder / "queue.db-wal").stat().st_size == 0, "the test is worth nothing"
    opened = folder.parent / "opened"
    result = strace("-y", "-o", opened, "-e", "trace=openat", command=["doctor", "--data", folder])
    assert result.returncode == 0, result.stdout
    # Each reader's first look at its log; whoever takes the file as it lies makes none.
    reads = len(re.findall(r'queue\.db", O_RDONLY.*O_NOFOLLOW', opened.read_text()))
    logs = len(re.findall(r'queue\.db-(?:shm|wal)"', opened.read_text()))
    assert reads > 0 and logs >= reads, opened.read_text()
    assert server.stop() == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize("flags", [[], ["--json"], ["--help"]])
def test_findings_that_nobody_gets_are_no_success(folder, flags):
    with open("/dev/full", "w") as full:
        result = subprocess.run([BINARY, "doctor", "--data", folder, *flags], stdout=full)
    assert result.returncode == 74


# What a value of each column is changed to, in a row that has it. meta of queue.db is left out:
# it is for people, and nothing reads it.
CHANGES = {
    "queue.db": {
        "raw_events": ["seq = seq + 1000", "received_at = received_at + 1", "event_id = 'd-X'",
                       "correlation_id = 'X' || correlation_id", "traceparent = '00-X'",
                       "replay_of = replay_of + 1",
                       "body = replace(body, 'text-3', 'text-Y')"],
    },
    "eventflow.db": {
        "processed": ["event_id = 'd-X'", "source = 'X'", "event_type = 'X'", "customer_id = 'X'",
                      "correlation_id = 'X'", "at_us = at_us + 1",
                      "received_at_us = received_at_us + 1",
                      "processed_at_us = processed_at_us + 1",
                      "processing_us = processing_us + 1", "worker_id = 'X'",
                      "attempt = attempt + 1", "match_count = match_count + 1",
                      "digest = zeroblob(16)", "checksum = checksum + 1",
                      "duplicates = duplicates + 1"],
        "matches": ["campaign_id = 'X'", "campaign_version = 2", "outcome = 'X'", "rewards = '[1]'",
                    "matched_at_us = matched_at_us + 1", "checksum = checksum + 1"],
        "failed": ["seq = seq + 1", "event_id = 'X'", "source = 'X'", "event_type = 'X'",
                   "customer_id = 'X'", "correlation_id = 'X'", "reason = 'X'", "error = 'X'",
                   "attempts = attempts + 1", "body = x'58'", "received_at_us = received_at_us + 1",
                   "first_failed_at_us = first_failed_at_us + 1",
                   "last_failed_at_us = last_failed_at_us + 1", "checksum = checksum + 1",
                   "replayed_at_us = replayed_at_us + 1", "replay_seq = replay_seq + 1",
                   "replayed_at_us = NULL", "replay_seq = NULL"],
        "campaign_versions": ["name = 'X'", "status = 'draft'", "document = '{}'",
                              "created_at_us = created_at_us + 1",
                              "updated_at_us = updated_at_us + 1", "version = 7"],
        "campaign_heads": ["version = 9", "deleted_at_us = deleted_at_us + 1",
                           "deleted_at_us = NULL", "deleted_at_us = 5",
                           "generation = generation + 1"],
        "counters": ["value = value + 1"],
        "migrations": ["name = 'X'", "applied_at_us = applied_at_us + 1"],
    },
}


def changes():
    return [pytest.param(name, table, text, id=f"{table}.{text}")
            for name, tables in CHANGES.items() for table, of in tables.items() for text in of]


def differing(connection, table, text):
    """Rows that the change would change; the one of the highest key."""
    column = text.split(" = ")[0]
    key = {"counters": "name", "campaign_heads": "campaign_id",
           "matches": "seq"}.get(table, "rowid")
    value = text.split(" = ", 1)[1]
    return key, connection.execute(
        f"SELECT {key} FROM {table} WHERE ({value}) IS NOT {column} ORDER BY {key}").fetchall()


@pytest.mark.parametrize("name, table, text", changes())
def test_a_changed_value_is_found(folder, name, table, text):
    """In every row that has one, one after the other for the small tables."""
    connection = sqlite3.connect(folder / name, isolation_level=None)
    key, rows = differing(connection, table, text)
    connection.close()
    assert rows, "no row to change: the test is worth nothing"
    small = {"counters", "campaign_heads"}
    for row in rows if table in small else rows[:1]:
        copy = shutil.copytree(folder, folder.with_name("copy"), dirs_exist_ok=True)
        change(copy, name, f"UPDATE {table} SET {text} WHERE {key} = '{row[0]}'")
        code, findings = doctor(copy, "--full")
        assert code == 65 and problems(findings), f"{table}: {text} where {key} = {row[0]}"
        shutil.rmtree(copy)
