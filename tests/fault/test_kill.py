"""kill -9 at random moments under load: after each one it is ready within a second, and the ledger
finds nothing lost, nothing twice, nothing invented."""
import json
import urllib.request

from rig import (READY_SECONDS, FaultServer, Storm, keep_on_failure, rounds, running, start_seed)

ROUNDS = rounds(60, 1000)
JUDGE_EVERY = rounds(20, 100)
ROWS = rounds(100_000, 1_000_000)
BATCH = 1000


def one_round(storm, server, number):
    """Most kills hit a server at work, some one that is just starting."""
    storm.wait_for_progress()
    if number % 10 == 5:
        storm.load.change_campaign(server.url)
    server.kill()
    if number % 5 == 0:
        server.start(wait=False)
        storm.pause(0.1)
        server.kill()
    server.start_within(READY_SECONDS)


def test_the_ledger_balances_after_random_kills(tmp_path):
    seed = start_seed(301)
    server = FaultServer(tmp_path / "data")
    with keep_on_failure("kill", tmp_path, seed=seed), running(server):
        server.start()
        with Storm(server, tmp_path, seed) as storm:
            for number in range(1, ROUNDS + 1):
                one_round(storm, server, number)
                if number % JUDGE_EVERY == 0 and number < ROUNDS:
                    check(storm)
                    storm.go_on()
            check(storm)


def check(storm):
    verdict = storm.judge()
    assert verdict.ok, str(verdict)


def fill(server, count):
    """So many events through the front door, in batches."""
    for first in range(0, count, BATCH):
        lines = "\n".join(json.dumps({"event_id": f"row{n}", "event_type": "purchase",
                                      "customer_id": f"c{n % 997}"})
                          for n in range(first, first + BATCH))
        request = urllib.request.Request(server.url + "/events", lines.encode(),
                                         {"Content-Type": "application/x-ndjson"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 202


def test_it_is_ready_within_a_second_with_many_rows(tmp_path):
    """The folder is full, the end was unclean, and work is waiting."""
    server = FaultServer(tmp_path / "data")
    with running(server):
        server.start()
        fill(server, ROWS)
        for number in range(3):
            server.kill()
            took = server.start_within(READY_SECONDS)
            print(f"{ROWS} rows: ready after {took:.3f} s")
            server.send({"event_id": f"more{number}", "event_type": "purchase"})
        assert server.wait_idle()["processed"] == ROWS + 3
