"""Power cuts under load: whatever was answered 202 is on the disk, the program is ready again
within 2 s, and the ledger finds nothing lost and nothing twice."""
import time

import pytest

from rig import (FaultServer, PowerDisk, Storm, keep_on_failure, rounds, running, start_seed,
                 why_no_power_cuts)

ROUNDS = rounds(20, 200)
JUDGE_EVERY = rounds(10, 20)
RECOVERY_SECONDS = 2
GRACE_NS = 100_000_000  # answers on their way when the power went


@pytest.fixture
def disk(tmp_path):
    reason = why_no_power_cuts(tmp_path / "probe")
    if reason:
        pytest.skip(f"POWER CUTS ARE NOT TESTED: {reason}")
    disk = PowerDisk(tmp_path, mebibytes=rounds(512, 2048))
    yield disk
    disk.close()


def stop_with_the_disk(storm, server, disk):
    """The machine stops dead, maybe in the middle of a sync. The program must not see the end of
    that one: it may report success although the journal went down with the file system."""
    server.freeze()
    disk.cut()


def lose_the_disk(storm, server, disk):
    """The disk is gone between two syncs, and the program lives on for a moment."""
    server.freeze("Tt")
    cut_ns = time.time_ns()
    disk.cut()
    server.thaw()
    storm.pause(0.6, least=0.3)  # more than both graces
    storm.faults.add("no disk", cut_ns + GRACE_NS, max(time.time_ns(), cut_ns + GRACE_NS))


def cut_power(storm, server, disk):
    storm.rng.choice((stop_with_the_disk, lose_the_disk))(storm, server, disk)
    server.kill()
    disk.power_on()


def test_the_ledger_balances_after_power_cuts(tmp_path, disk):
    seed = start_seed(302)
    server = FaultServer(disk.folder / "data", log=tmp_path / "server.log")
    kept = (tmp_path / "ledger", tmp_path / "faults.jsonl", server.folder, server.log_path)
    with keep_on_failure("power", *kept, seed=seed), running(server):
        server.start()
        with Storm(server, tmp_path, seed) as storm:
            for number in range(1, ROUNDS + 1):
                storm.wait_for_progress()
                cut_power(storm, server, disk)
                server.start_within(RECOVERY_SECONDS)
                if number % JUDGE_EVERY == 0:
                    verdict = storm.judge()
                    assert verdict.ok, str(verdict)
                    storm.go_on()


def test_the_very_first_start_survives_a_power_cut(tmp_path, disk):
    """Cut while the two databases are being made: the next start makes or finds them whole."""
    for number in range(rounds(5, 50)):
        server = FaultServer(disk.folder / f"data{number}", log=tmp_path / "server.log")
        with running(server):
            server.start(wait=False)
            time.sleep(0.01 * number % 0.1)
            disk.cut()
            server.kill()
            disk.power_on()
            server.start_within(RECOVERY_SECONDS)
            server.send({"event_id": "a", "event_type": "purchase"})
            server.wait_idle()
