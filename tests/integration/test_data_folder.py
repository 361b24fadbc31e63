"""A folder whose two databases are not a pair: refused with a reason, and nothing is touched."""
import shutil

import pytest
from conftest import event, free_port, run

CAMPAIGN = {"id": "all", "name": "all", "rules": {"event_type": ["purchase"]}}


def serve(folder):
    return run("serve", "--listen", f"127.0.0.1:{free_port()}", "--metrics-listen",
               f"127.0.0.1:{free_port()}", "--data", folder)


def fill(server, prefix, count):
    server.send(*[event(f"{prefix}{n}") for n in range(count)])
    server.wait_idle()


def remove(folder, name):
    for file in folder.glob(name + "*"):
        file.unlink()


@pytest.mark.parametrize("is_emptied", [False, True])
def test_results_that_are_gone_are_not_begun_anew(make_server, is_emptied):
    server = make_server()
    assert server.post("/campaigns", CAMPAIGN).status == 201
    fill(server, "e", 5)
    server.stop()
    saved = (server.folder / "eventflow.db").read_bytes()
    remove(server.folder, "eventflow.db")
    if is_emptied:
        (server.folder / "eventflow.db").touch()
    result = serve(server.folder)
    assert result.returncode == 65 and "eventflow.db is missing or empty" in result.stderr
    (server.folder / "eventflow.db").write_bytes(saved)
    server.start()
    assert server.summary()["processed"] == 5


def test_a_log_without_its_database_is_kept(make_server):
    server = make_server()
    fill(server, "e", 5)
    server.kill()
    (server.folder / "eventflow.db").rename(server.folder / "aside")
    before = (server.folder / "eventflow.db-wal").read_bytes()
    result = serve(server.folder)
    assert result.returncode == 65 and "eventflow.db-wal" in result.stderr, result.stderr
    assert (server.folder / "eventflow.db-wal").read_bytes() == before
    (server.folder / "aside").rename(server.folder / "eventflow.db")
    server.start()
    assert server.summary()["processed"] == 5


def test_a_missing_or_older_queue_is_refused(make_server):
    server = make_server()
    fill(server, "e", 5)
    server.stop()
    older = (server.folder / "queue.db").read_bytes()
    server.start()
    fill(server, "f", 5)
    server.stop()
    for content in (None, older):
        remove(server.folder, "queue.db")
        if content is not None:
            (server.folder / "queue.db").write_bytes(content)
        result = serve(server.folder)
        assert result.returncode == 65 and "was processed already" in result.stderr


def test_the_queue_of_another_folder_is_refused(make_server):
    one, other = make_server(folder="one"), make_server(folder="other")
    fill(one, "e", 5)
    fill(other, "f", 9)
    one.stop()
    other.stop()
    shutil.copy(other.folder / "queue.db", one.folder / "queue.db")
    result = serve(one.folder)
    assert result.returncode == 65 and "do not belong together" in result.stderr, result.stderr


def test_older_results_are_brought_up_to_date_exactly_once(make_server):
    server = make_server()
    fill(server, "e", 5)
    server.stop()
    older = (server.folder / "eventflow.db").read_bytes()
    server.start()
    server.send(event("e4"), event("f1"))
    server.wait_idle()
    server.stop()
    remove(server.folder, "eventflow.db")
    (server.folder / "eventflow.db").write_bytes(older)
    server.start()
    summary = server.wait_idle()
    assert (summary["received"], summary["processed"], summary["duplicate"]) == (7, 6, 1)
