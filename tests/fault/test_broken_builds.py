"""What the rig is worth: six programs with one promise broken each are caught within 20 rounds of
the fault that should show it, and the good program passes all of these rounds with the same seeds.
The missing sync is found by power cuts and not by kill -9: that proves the power cuts."""
import re

import pytest

from rig import (SHIM, FaultServer, PowerDisk, Storm, broken, keep_on_failure, running, start_seed,
                 why_no_power_cuts)
from server import wait_until
from test_fsync import run_into

MOST = 20
# What the ledger must say about each. One that is caught for another reason proves nothing.
NAMED = {"ack_before_commit": ["no loss"], "sync_normal": ["no loss"], "no_unique": ["once"],
         "position_before_effects": ["terminal"],
         # Its match is missing; or it had none, and is counted as its own duplicate.
         "dedupe_before_effects": ["matches", "books"]}
SETTLING = "store.commit"  # a named fault point
LIES = "is a lie|late lie|lost"
JUDGED = (1, 3, 8, MOST)  # after so many rounds the ledger is asked
START_SECONDS = 30           # a broken program may start slowly, that does not catch it


class KillRig:
    """Rounds of kill -9: at any moment, and as effects are about to be committed, which a moment
    of chance seldom hits."""

    def __init__(self, work):
        self.folder = work

    def hurt(self, storm, server):
        server.kill()
        if storm.rng.random() < 0.3:
            server.start(wait=False)
            storm.pause(0.1)
            server.kill()
        if storm.rng.random() < 0.5:
            server.env = {"EVENTFLOW_TEST_FAULT": f"{SETTLING}=kill@{storm.rng.randint(2, 9)}"}
            server.start(wait=False)
            wait_until(lambda: not server.is_running(), f"the kill at {SETTLING}")
            server.env = {}

    def close(self):
        pass


class PowerRig(PowerDisk):
    """Rounds of power cuts."""

    def hurt(self, storm, server):
        server.freeze()
        self.cut()
        server.kill()
        self.power_on()


def rounds_until_caught(rig_of, binary, work, seed):
    """(rounds, verdict), or (None, None) when the program passes them all."""
    work.mkdir()
    rig = rig_of(work)
    server = FaultServer(rig.folder / "data", binary=binary, log=work / "server.log")
    try:
        with running(server):
            server.start()
            with Storm(server, work, seed) as storm:
                return play(storm, server, rig)
    finally:
        rig.close()


def play(storm, server, rig):
    for number in range(1, MOST + 1):
        storm.wait_for_progress(200)
        rig.hurt(storm, server)
        try:
            server.start_within(START_SECONDS)
        except AssertionError:
            if server.is_running():
                raise
            return number, storm.judge_folder()
        if number in JUDGED:
            verdict = storm.judge_quickly()
            if not verdict.ok:
                return number, verdict
            storm.go_on()
    return None, None


def check_caught(name, rig_of, work, seed):
    number, verdict = rounds_until_caught(rig_of, broken(name), work, seed)
    assert number is not None, f"{name} is not caught within {MOST} rounds"
    print(f"{name}: caught after {number} rounds: {verdict}")
    assert any(verdict.offending.get(kind) for kind in NAMED[name]), \
        f"{name}: not {NAMED[name]}, but {verdict}"


def check_passes(binary, rig_of, work, seed):
    number, verdict = rounds_until_caught(rig_of, binary, work, seed)
    assert number is None, f"after {number} rounds: {verdict}"


@pytest.fixture
def power(tmp_path):
    reason = why_no_power_cuts(tmp_path / "probe")
    if reason:
        pytest.skip(f"POWER CUTS ARE NOT TESTED: {reason}")


SEED = start_seed(304)


@pytest.mark.parametrize("name", ["ack_before_commit", "no_unique", "position_before_effects",
                                  "dedupe_before_effects"])
def test_it_is_caught_by_kills(tmp_path, name):
    check_caught(name, KillRig, tmp_path / name, SEED)


@pytest.mark.parametrize("binary", [None, broken("sync_normal")], ids=["good", "sync_normal"])
def test_kills_find_nothing(tmp_path, binary):
    """Neither in the good program nor in the one that does not sync."""
    with keep_on_failure("broken-kill", tmp_path, seed=SEED):
        check_passes(binary, KillRig, tmp_path / "kill", SEED)


def test_a_missing_sync_is_caught_by_power_cuts(tmp_path, power):
    check_caught("sync_normal", PowerRig, tmp_path / "weak", SEED)


def test_power_cuts_find_nothing_in_the_good_program(tmp_path, power):
    with keep_on_failure("broken-power", tmp_path / "good/ledger", seed=SEED):
        check_passes(None, PowerRig, tmp_path / "good", SEED)


def test_a_second_try_after_a_failed_sync_is_caught(tmp_path):
    """The good program passes these very faults."""
    assert SHIM.exists()
    rules = [f"sync queue.db-wal at={k} errno=EIO" for k in range(3, 3 + MOST)]
    for number, rule in enumerate(rules):
        run_into(tmp_path / f"good{number}", rule)
    for number, rule in enumerate(rules):
        try:
            run_into(tmp_path / f"broken{number}", rule, binary=broken("fsync_retry"), keep=False)
        except AssertionError as error:
            if not re.search(LIES, str(error)):
                raise
            print(f"fsync_retry: caught after {number + 1} rounds: {str(error)[:80]}")
            return
    raise AssertionError(f"fsync_retry is not caught within {MOST} rounds")
