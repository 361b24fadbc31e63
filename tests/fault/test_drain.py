"""SIGTERM under real load, with keep-alive connections: no request fails, connects are refused
after the drain, and the ledger finds everything where it belongs."""
import time

from hostile import Crowd, judge
from rig import FaultServer, Storm, keep_on_failure, rounds, running, start_seed
from server import event, wait_until

EXIT_WITHIN = 20  # seconds, the promise of docs/operations.md


def test_sigterm_under_load_fails_no_request(tmp_path):
    seed = start_seed(31)
    server = FaultServer(tmp_path / "data")
    with running(server.start()), \
            keep_on_failure("drain", server.folder, tmp_path / "ledger", tmp_path / "faults.jsonl",
                            server.log_path, seed=seed), \
            Storm(server, tmp_path, seed, connections=32) as storm:
        for _ in range(rounds(3, 30)):
            storm.wait_for_progress(1500)
            began = time.monotonic()
            assert server.stop() == 0, server.tail()
            assert time.monotonic() - began < EXIT_WITHIN
            server.start()
        storm.wait_for_progress()
        judge(storm)
        counts = storm.load.counts()
        assert counts["unknown"] == 0, f"a request failed: {counts}"
        assert counts["unavailable"] == 0, f"a request was refused: {counts}"


def test_a_drain_does_not_wait_for_silent_clients(tmp_path):
    """1,000 connections that say nothing do not hold up the end, nor do heads that trickle in
    longer than the drain-timeout."""
    server = FaultServer(tmp_path / "data", "--drain-timeout", "1s")
    with running(server.start()):
        server.send(event("before"))
        with Crowd(server.port, "idle", 1000), Crowd(server.port, "trickle", 100):
            began = time.monotonic()
            assert server.stop() == 0, server.tail()
            assert time.monotonic() - began < 10
        server.start()
        assert server.wait_idle()["processed"] == 1


def test_a_second_sigterm_changes_nothing(tmp_path):
    server = FaultServer(tmp_path / "data")
    with running(server.start()):
        with Crowd(server.port, "post", 8) as crowd:
            wait_until(lambda: server.summary()["received"] > 200, "some load")
            for _ in range(5):
                server.process.terminate()
            assert server.process.wait(EXIT_WITHIN) == 0, server.tail()
        answered = crowd.left["statuses"]["202"]
        assert crowd.left["statuses"].keys() <= {"202", "closed"}, crowd.left
        server.start()
        assert server.wait_idle()["processed"] >= answered
