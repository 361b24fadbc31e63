"""One folder, one process: a second one ends at once with 73 and the owner's pid, and the first
does not notice. What happens to a folder that is moved, copied or robbed of its lock file is
written down here, too: the first process never loses what it acknowledged."""
import shutil
import time

from hostile import Crowd
from server import event, free_port, run, wait_until


def serve(folder, timeout=20):
    return run("serve", "--listen", f"127.0.0.1:{free_port()}", "--metrics-listen",
               f"127.0.0.1:{free_port()}", "--data", folder, timeout=timeout)


def books_are_right(server):
    summary = server.wait_idle()
    assert summary["failed"] == 0
    assert summary["received"] == summary["processed"] + summary["duplicate"]
    return summary


def test_a_second_process_ends_at_once_and_the_first_goes_on(make_server):
    server = make_server()
    with Crowd(server.port, "post", 8) as crowd:
        for _ in range(5):
            began = time.monotonic()
            result = serve(server.folder)
            assert result.returncode == 73, result
            assert f"in use by the process with pid {server.process.pid}:" in result.stderr
            assert time.monotonic() - began < 5, "at once"
    assert crowd.left["statuses"].keys() == {"202"}, crowd.left
    assert books_are_right(server)["processed"] >= crowd.left["statuses"]["202"]
    assert (server.folder / "eventflow.lock").read_text().split() == [str(server.process.pid)]
    assert server.stop() == 0
    assert run("doctor", "--full", "--data", server.folder).returncode == 0


def test_the_lock_of_a_killed_process_holds_nobody_up(make_server):
    server = make_server()
    old = server.process.pid
    server.kill()
    assert (server.folder / "eventflow.lock").read_text().split() == [str(old)]
    server.start()
    assert (server.folder / "eventflow.lock").read_text().split() == [str(server.process.pid)]


def test_a_folder_that_is_moved_away_is_still_owned(make_server, tmp_path):
    """The lock goes with the folder. What was acknowledged under either name is there later."""
    server = make_server()
    server.send(event("before"))
    moved = tmp_path / "moved"
    server.folder.rename(moved)
    result = serve(moved)
    assert result.returncode == 73 and str(server.process.pid) in result.stderr, result
    answer = server.post("/events", event("after"))
    assert answer.status in (202, 503), answer
    acknowledged = {"before"} | ({"after"} if answer.status == 202 else set())
    moved.rename(server.folder)
    wait_until(lambda: server.process.poll() is None and server.wait_idle(), "the end of the work")
    server.stop()
    server.start()
    books_are_right(server)
    stored = {row[0] for row in server.sql("SELECT event_id FROM processed_events")}
    assert acknowledged <= stored <= {"before", "after"}


def test_a_copy_of_the_folder_is_a_folder_of_its_own(make_server, tmp_path):
    """A copy made while the program runs may be refused (65), never harms the original, and when it
    opens it holds nothing that was not sent."""
    server = make_server()
    with Crowd(server.port, "post", 4):
        wait_until(lambda: server.summary()["processed"] > 200, "some events")
        shutil.copytree(server.folder, tmp_path / "copy")
    copy = make_server(folder="copy", start=False)
    copy.start(wait=False)
    wait_until(lambda: copy.process.poll() is not None or is_ready(copy), "the copy's verdict")
    if copy.process.poll() is None:
        copy.wait_idle()
        ours = {row[0] for row in copy.sql("SELECT event_id FROM processed_events")}
        server.wait_idle()
        assert ours <= {row[0] for row in server.sql("SELECT event_id FROM processed_events")}
        assert copy.stop() == 0
    else:
        assert copy.process.returncode == 65, copy.log()
    books_are_right(server)
    assert server.stop() == 0
    assert run("doctor", "--full", "--data", server.folder).returncode == 0


def is_ready(server):
    try:
        return server.get("/health/ready").status == 200
    except OSError:
        return False


def test_a_lock_file_deleted_by_hand_lets_nobody_in(make_server):
    """The lock is more than a name; only the pid is not known any more."""
    server = make_server()
    server.send(event("before"))
    (server.folder / "eventflow.lock").unlink()
    result = serve(server.folder)
    assert result.returncode == 73 and "is in use" in result.stderr, result
    server.send(event("after"))
    assert books_are_right(server)["processed"] == 2
