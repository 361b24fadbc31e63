"""Backup and restore and the disk under them: the order in which names become durable, and what a
failed call, a full disk or a kill at any place leaves behind."""
import os
import re
import shutil
import signal
import subprocess

import pytest
from backups import (STRACE, backup, inject, is_clean, names, needs_strace, restore,  # noqa: F401
                     saved, strace)
from conftest import BINARY, run, wait_until
from fault.hostile import MountNotAllowed, small_disk
from server import Server

CALLS = "fsync,rename,renameat,renameat2"


def files_of(folder):
    """Name to content, but for the lock file, which has the pid of the last process."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and path.name != "eventflow.lock"}


def order(command, folder):
    """What was synced and renamed, in this order, as (call, name below the folder); a call that
    only repeats the one before is left out."""
    log = folder / "trace"
    result = strace("-y", "-o", log, "-e", f"trace={CALLS}", command=command)
    assert result.returncode == 0, result.stderr
    calls = []
    for line in log.read_text().splitlines():
        found = re.search(r'(fsync)\(\d+<(.*?)>\)|(rename).*?"[^"]*",.*?"([^"]*)"', line)
        if found:
            call, path = [part for part in found.groups() if part is not None]
            if not calls or calls[-1] != (call, os.path.relpath(path, folder)):
                calls.append((call, os.path.relpath(path, folder)))
    return calls


# ---- durability ------------------------------------------------------------------------------


@needs_strace
def test_a_backup_is_durable_before_it_has_its_name_and_then_the_name(saved, tmp_path):
    folder, _ = saved
    assert order(["backup", tmp_path / "b.tar", "--data", folder], tmp_path) == [
        ("fsync", "b.tar.partial"), ("rename", "b.tar"), ("fsync", ".")]


@needs_strace
def test_a_restore_is_durable_with_every_folder_that_it_made(saved, tmp_path):
    _, file = saved
    calls = order(["restore", file, "--data", tmp_path / "a/b/data"], tmp_path)
    assert calls == [
        ("fsync", "a/b/data/restoring/eventflow.db"), ("fsync", "a/b/data/restoring/queue.db"),
        ("fsync", "a/b/data/restoring"), ("rename", "a/b/data/queue.db"), ("fsync", "a/b/data"),
        ("rename", "a/b/data/eventflow.db"), ("fsync", "a/b/data"), ("fsync", "a/b"),
        ("fsync", "a"), ("fsync", ".")]


@needs_strace
def test_what_a_restore_puts_aside_is_durable_before_the_new_comes(saved, tmp_path):
    folder, file = saved
    shutil.copytree(folder, tmp_path / "data")
    calls = order(["restore", file, "--data", tmp_path / "data", "--force"], tmp_path)
    aside = next(p.name for p in (tmp_path / "data").iterdir() if p.name.startswith("replaced-"))
    assert calls[3:] == [
        ("rename", f"data/{aside}/eventflow.db"), *put_aside(aside),
        ("fsync", f"data/{aside}"), ("fsync", "data"), ("rename", "data/queue.db"),
        ("fsync", "data"), ("rename", "data/eventflow.db"), ("fsync", "data")]


def put_aside(aside):
    """The side files are tried, too, whether there are some or not; queue.db gets a second name."""
    sides = [f"{name}-{side}" for name in ("eventflow.db", "queue.db")
             for side in ("wal", "shm", "journal")]
    return [("rename", f"data/{aside}/{side}") for side in sides]


@needs_strace
def test_a_first_start_is_durable_with_every_folder_that_it_made(tmp_path):
    """As a restore: a 202 is worth nothing in a folder whose name a power cut takes away."""
    server = Server(tmp_path / "a/b/data")
    process = subprocess.Popen(
        [STRACE, "-f", "-qq", "-y", "-o", tmp_path / "trace", "-e", "trace=fsync", BINARY, "serve",
         "--listen", f"127.0.0.1:{server.port}", "--metrics-listen",
         f"127.0.0.1:{server.metrics_port}", "--data", server.folder],
        stderr=subprocess.DEVNULL, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    server.process = process
    wait_until(server.is_ready, "the server to be ready")
    os.kill(int((server.folder / "eventflow.lock").read_text()), signal.SIGTERM)
    assert process.wait(60) == 0
    synced = [os.path.relpath(path, tmp_path)
              for path in re.findall(r"fsync\(\d+<(.*?)>\)", (tmp_path / "trace").read_text())]
    assert {"a/b/data", "a/b", "a", "."} <= set(synced), synced


@needs_strace
def test_a_backup_whose_sync_fails_is_74_and_says_what_there_is(saved, tmp_path):
    folder, _ = saved
    command = ["backup", tmp_path / "b.tar", "--data", folder]
    result = inject("fsync:error=EIO:when=1", command)
    assert result.returncode == 74 and "cannot sync" in result.stderr, result
    assert names(tmp_path) == []
    result = inject("fsync:error=EIO:when=2", command)
    assert result.returncode == 74 and "its name may not survive" in result.stderr, result
    assert names(tmp_path) == ["b.tar"]
    assert restore(tmp_path / "b.tar", tmp_path / "copy").returncode == 0


@needs_strace
@pytest.mark.parametrize("call, error", [("fsync", "EIO"), ("rename", "EIO"), ("mkdir", "ENOSPC"),
                                         ("pwrite64", "ENOSPC")])
def test_a_restore_that_fails_anywhere_says_where_the_old_data_is(saved, tmp_path, call, error):
    """Whatever call fails: before the first renaming nothing has changed; after it the message
    names the folder. A second restore succeeds."""
    folder, file = saved
    failures = 0
    for nth in range(1, 40):
        copy = tmp_path / f"{call}{nth}"
        shutil.copytree(folder, copy)
        before = files_of(copy)
        result = inject(f"{call}:error={error}:when={nth}",
                        ["restore", file, "--data", copy, "--force"])
        if result.returncode == 0 and nth > 1:  # the first mkdir is of a folder that is there
            assert failures > 0, f"{call} never fails"
            return
        if result.returncode == 0:
            continue
        failures += 1
        assert result.returncode == 74, result
        aside = [path for path in copy.iterdir() if path.name.startswith("replaced-")]
        if aside:
            assert f"(partly) in '{aside[0]}'" in result.stderr, result
            kept = {**files_of(aside[0]), "queue.db": before["queue.db"]}
            assert kept == before
        else:
            assert "partly" not in result.stderr and files_of(copy) == before, result
        assert restore(file, copy, "--force").returncode == 0 and is_clean(copy)
    raise AssertionError("it never came to its end")


@needs_strace
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_restore_into_a_new_folder_that_fails_says_whether_it_began(saved, tmp_path, call):
    _, file = saved
    for nth in range(1, 20):
        copy = tmp_path / f"{nth}" / "data"
        result = inject(f"{call}:error=EIO:when={nth}", ["restore", file, "--data", copy])
        if result.returncode == 0:
            assert nth > 2
            return
        assert result.returncode == 74, result
        is_begun = names(copy) != ["eventflow.lock"]
        assert is_begun == ("(partly) in place" in result.stderr), result
        again = restore(file, copy, *["--force"] * is_begun)
        assert again.returncode == 0 and is_clean(copy)
    raise AssertionError("it never came to its end")


@needs_strace
def test_a_lock_that_cannot_be_taken_is_no_lock_that_is_held(saved, tmp_path):
    folder, file = saved
    fault = "flock:error=ENOLCK"
    result = inject(fault, ["backup", tmp_path / "b.tar", "--data", folder])
    assert result.returncode == 74 and "No locks available" in result.stderr, result
    result = inject(fault, ["restore", file, "--data", tmp_path / "copy"])
    assert result.returncode == 78 and "No locks available" in result.stderr, result
    assert "in use" not in result.stderr
    result = inject(fault, ["doctor", "--data", folder])
    assert result.returncode == 65 and "No locks available" in result.stdout, result


# ---- room ------------------------------------------------------------------------------------


@pytest.fixture
def disk(saved):
    """A file system with room for one and a half times the databases."""
    folder, _ = saved
    size = sum(path.stat().st_size for path in folder.glob("*.db"))
    try:
        with small_disk(f"size={size * 3 // 2}") as place:
            yield place
    except MountNotAllowed as reason:
        pytest.skip(f"no mounts here: {reason}")


def occupy(disk, free):
    """A file that leaves so many bytes free."""
    room = os.statvfs(disk)
    (disk / "fill").write_bytes(b"x" * (room.f_bavail * room.f_frsize - free))


def test_a_full_file_system_ends_a_backup_with_74_and_leaves_nothing(saved, disk):
    folder, file = saved
    for free in (0, 8192, file.stat().st_size - 4096):
        occupy(disk, free)
        result = backup(folder, disk / "b.tar")
        assert result.returncode == 74 and "No space left" in result.stderr, result
        assert names(disk) == ["fill"]
        (disk / "fill").unlink()
    assert backup(folder, disk / "b.tar").returncode == 0


def test_a_restore_without_room_is_refused_before_it_writes(saved, disk):
    folder, file = saved
    occupy(disk, sum(path.stat().st_size for path in folder.glob("*.db")) - 4096)
    result = restore(file, disk / "data")
    assert result.returncode == 74 and "there is no room" in result.stderr, result
    assert names(disk / "data") == ["eventflow.lock"]
    (disk / "fill").unlink()
    assert restore(file, disk / "data").returncode == 0


@needs_strace
def test_what_a_killed_restore_left_does_not_take_the_room_of_the_next(saved, disk):
    _, file = saved
    killed = inject("rename:signal=SIGKILL:when=1", ["restore", file, "--data", disk / "data"])
    assert killed.returncode == -signal.SIGKILL, killed
    assert names(disk / "data/restoring") == ["eventflow.db", "queue.db"]
    result = restore(file, disk / "data")
    assert result.returncode == 0, result.stderr
    assert is_clean(disk / "data")


# ---- kills -----------------------------------------------------------------------------------


@needs_strace
@pytest.mark.parametrize("call", ["mkdir", "rename", "link"])
def test_a_restore_killed_anywhere_can_be_made_again(saved, tmp_path, call):
    """At each system call that changes a name: the server then refuses or finds nothing; a second
    restore succeeds."""
    folder, file = saved
    for nth in range(1, 20):
        copy = tmp_path / f"{call}{nth}"
        shutil.copytree(folder, copy)
        killed = inject(f"{call}:signal=SIGKILL:when={nth}",
                        ["restore", file, "--data", copy, "--force"])
        if killed.returncode == 0:
            assert nth > 1, f"{call} is never called"
            return
        # Where tracing is forbidden, strace itself fails, and nobody was killed.
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        state = run("doctor", "--data", copy)
        assert state.returncode == (0 if (copy / "eventflow.db").exists() else 65), state.stdout
        assert (copy / "eventflow.db").exists() or (copy / "queue.db").exists()
        assert restore(file, copy, "--force").returncode == 0
        assert is_clean(copy)
    raise AssertionError("it never came to its end")
