"""What the tests of backup and restore share."""
import os
import subprocess

import pytest
from conftest import BINARY, event, run
from server import Server

FIRST_DATABASE = 8192  # where eventflow.db begins, in every backup
CAMPAIGN = {"id": "all", "name": "all", "rules": {"event_type": ["purchase"]}}
STRACE = "/usr/bin/strace"


def can_trace():
    """Whether strace is there, and may trace: some containers forbid it."""
    try:
        return subprocess.run([STRACE, "-qq", "-o", "/dev/null", "true"],
                              stderr=subprocess.DEVNULL).returncode == 0
    except FileNotFoundError:
        return False


needs_strace = pytest.mark.skipif(not can_trace(), reason="there is no strace, or it may not trace")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def backup(folder, path, *flags, **options):
    return run("backup", path, "--data", folder, *flags, **options)


def restore(path, folder, *flags, **options):
    return run("restore", path, "--data", folder, *flags, **options)


def fill(server, prefix, count, size=100):
    server.send(*[event(f"{prefix}-{n}", payload={"text": "x" * size}) for n in range(count)])


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def is_clean(folder):
    result = run("doctor", "--full", "--data", folder)
    assert result.returncode == 0, result.stdout
    return True


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A backup of a small stopped folder, for tests that only read it: folder, file."""
    folder = tmp_path_factory.mktemp("saved")
    server = Server(folder / "data").start()
    server.post("/campaigns", CAMPAIGN)
    fill(server, "saved", 40)
    server.wait_idle()
    assert server.stop() == 0
    assert backup(server.folder, folder / "b.tar").returncode == 0
    return server.folder, folder / "b.tar"


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A stopped folder with 12 MB in it, so that a backup takes its time."""
    server = Server(tmp_path_factory.mktemp("large") / "data").start()
    for n in range(20):
        fill(server, f"large{n}", 10, 60000)
    server.wait_idle()
    assert server.stop() == 0
    return server.folder


def strace(*options, command):
    """Runs the program under strace; the leak check of a sanitizer build cannot work there."""
    return subprocess.run(
        [STRACE, "-f", "-qq", *map(str, options), BINARY, *map(str, command)], capture_output=True,
        text=True, timeout=120, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})


def inject(fault, command):
    """Runs the program with a fault in its system calls, e.g. "rename:error=EIO:when=2"."""
    return strace("-o", "/dev/null", "-e", f"trace={fault.split(':')[0]}", "-e", f"inject={fault}",
                  command=command)
