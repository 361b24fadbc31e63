"""A folder that an older version wrote is migrated in place and keeps its promises."""
import sqlite3
from pathlib import Path

from conftest import event, run

SCHEMA_1 = Path(__file__).resolve().parent / "schema1"


def make_old_folder(folder):
    """The folder of schema 1: four messages settled, a fifth that waits after one attempt."""
    folder.mkdir()
    for name in ("queue", "eventflow"):
        connection = sqlite3.connect(folder / f"{name}.db")
        connection.executescript((SCHEMA_1 / f"{name}.sql").read_text())
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()


def test_a_folder_of_schema_1_is_migrated_whole(make_server, tmp_path):
    make_old_folder(tmp_path / "data")
    server = make_server()
    server.wait_idle()
    assert server.get("/events/old-5").json["state"] == "processed"
    assert server.sql("SELECT count(*) FROM retries") == [(0,)]
    assert server.send(event("new-1", "signup")).status == 202
    server.wait_idle()
    summary = server.summary()
    assert (summary["received"], summary["processed"], summary["failed"],
            summary["duplicate"], summary["matches"]) == (6, 4, 1, 1, 3)
    assert server.get("/campaigns/credit-over-50").json["version"] == 1
    server.stop()
    doctor = run("doctor", "--full", "--data", tmp_path / "data")
    assert doctor.returncode == 0, doctor.stdout


def test_what_is_sent_again_after_the_migration_is_still_a_duplicate(make_server, tmp_path):
    make_old_folder(tmp_path / "data")
    server = make_server()
    assert server.send(event("old-2", "signup", customer_id="c2")).status == 202
    server.wait_idle()
    assert server.sql("SELECT count(*) FROM processed WHERE event_id = 'old-2'") == [(1,)]
    server.stop()
