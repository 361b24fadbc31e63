"""The end of a log after a crash may be torn, scribbled or older than it was: whatever lies behind
the last commit may be anything. The program opens it, and what was acknowledged is there."""
import contextlib
import random
import shutil
import sqlite3

import pytest

from rig import (Client, FaultServer, check_effects, check_stored, in_parallel, install_campaign,
                 keep_on_failure, make_server, rounds, running, start_seed)
from server import run
from wal_file import WalFile

SEEDS = rounds(500, 5000)
EVENTS = 40
FILES = ("queue.db", "eventflow.db")


class Crashed:
    """A folder as kill -9 left it, with both logs in use, and what its client knows."""

    def __init__(self, work):
        server = FaultServer(work / "data").start()
        with running(server):
            install_campaign(server)
            self.client = Client(server.url)
            for number in range(EVENTS):
                assert self.client.post(f"e{number}") == 202
            server.wait_idle()
            server.kill()
        self.client.close()
        self.folder = server.folder
        self.logs = {name: WalFile(self.folder / f"{name}-wal") for name in FILES}
        for log in self.logs.values():
            assert log.end < len(log.data) or log.frames, "the log is not in use"


@pytest.fixture(scope="module")
def crashed(tmp_path_factory):
    return Crashed(tmp_path_factory.mktemp("crashed"))


# ---- what may lie behind the last commit ---------------------------------------------------------

def noise(log, rng):
    """Whatever stood on the disk before."""
    return rng.randbytes(rng.randint(1, 5 * log.frame_size))


def torn_frame(log, rng):
    """A good frame of a commit, cut off anywhere."""
    frame = log.next_frame(rng, is_commit=True)
    return frame[:rng.randint(1, len(frame) - 1)]


def half_written_frame(log, rng):
    """All of a frame's bytes are there, the sectors of one half never arrived."""
    frame = bytearray(log.next_frame(rng, is_commit=True))
    for at in range(512, len(frame), 512):
        if rng.random() < 0.5:
            frame[at:at + 512] = bytes(len(frame[at:at + 512]))
    frame[-1] ^= 0xFF
    return bytes(frame)


def open_transaction(log, rng):
    """Whole frames with good checksums and no commit behind them; pages full of nonsense."""
    return log.next_frames(rng, rng.randint(1, 4))


def scribbled_transaction(log, rng):
    """Frames of which some bits are wrong, the commit among them."""
    frames = bytearray(log.next_frames(rng, rng.randint(1, 4)) + noise(log, rng))
    for _ in range(rng.randint(1, 50)):
        frames[rng.randrange(len(frames))] ^= 1 << rng.randrange(8)
    return bytes(frames)


def old_frames(log, rng):
    """Frames of the log's life before: good pages and good commits under an old salt."""
    first = rng.randrange(len(log.frames))
    frames = bytearray(b"".join(log.frames[first:first + rng.randint(1, 6)]))
    for at in range(0, len(frames), log.frame_size):
        frames[at + 8:at + 12] = rng.randbytes(4)
    return bytes(frames)


def repeated_frames(log, rng):
    """The log's own frames once more, with the right salt: only the checksums tell."""
    first = rng.randrange(len(log.frames))
    return b"".join(log.frames[first:first + rng.randint(1, 6)])


DAMAGES = (noise, torn_frame, half_written_frame, open_transaction, scribbled_transaction,
           old_frames, repeated_frames)


def damage(crashed, folder, seed):
    """Everything behind the last commit is replaced. Says what was done."""
    rng = random.Random(seed)
    shutil.copytree(crashed.folder, folder)
    done = []
    for name, log in crashed.logs.items():
        kind = DAMAGES[(seed + len(done)) % len(DAMAGES)] if rng.random() < 0.9 else None
        tail = kind(log, rng) if kind else b""
        (folder / f"{name}-wal").write_bytes(log.data[:log.end] + tail)
        done.append(f"{name}: {kind.__name__ if kind else 'cut off'}")
    if rng.random() < 0.5:  # after a power cut it is not there, or nonsense
        for name in FILES:
            (folder / f"{name}-shm").unlink(missing_ok=True)
    return ", ".join(done)


# ---- who opens it -------------------------------------------------------------------------------

def check_by_program(crashed, folder):
    """It starts, takes another event and stops; then both files say the same as its client."""
    server = make_server(folder, log=folder.parent / "server.log")
    with running(server):
        server.start()
        again = Client(server.url)
        assert again.post("later") == 202
        again.close()
        server.wait_idle()
        assert server.stop() == 0, server.tail()
    client = crashed.client
    stored = check_stored(folder, {**client.sent, **again.sent}, client.ids(202) | {"later"})
    check_effects(folder, stored)


def check_files(crashed, folder):
    """Without the program: both files recover by themselves, and the books add up."""
    for name in FILES:
        with contextlib.closing(sqlite3.connect(folder / name)) as db:
            db.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    client = crashed.client
    check_effects(folder, check_stored(folder, client.sent, client.ids(202)))


def test_nothing_acknowledged_is_lost_with_a_damaged_tail(crashed, tmp_path):
    first = start_seed(0)

    def one(seed):
        work = tmp_path / str(seed)
        work.mkdir()
        with keep_on_failure(f"wal-{seed}", work, seed=seed):
            what = damage(crashed, work / "data", seed)
            try:
                check_by_program(crashed, work / "data")
            except AssertionError as error:
                raise AssertionError(f"{what}: {error}") from error
        shutil.rmtree(work)
    in_parallel(one, range(first, first + SEEDS))


def test_a_lost_commit_would_be_noticed(crashed, tmp_path):
    """What the checks above are worth: they find the last commit missing."""
    log = crashed.logs["queue.db"]
    shutil.copytree(crashed.folder, tmp_path / "data")
    (tmp_path / "data/queue.db-wal").write_bytes(log.data[:log.end - 1])
    (tmp_path / "data/queue.db-shm").unlink()
    with pytest.raises(AssertionError, match="lost"):
        check_files(crashed, tmp_path / "data")


def test_the_doctor_is_content_with_a_damaged_tail(crashed, tmp_path):
    for seed in range(len(DAMAGES)):
        what = damage(crashed, tmp_path / str(seed), seed)
        result = run("doctor", "--full", "--data", tmp_path / str(seed))
        assert result.returncode == 0, f"{what}: {result.stdout}"
