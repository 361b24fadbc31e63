"""A disk that turns read-only while the program writes: no 202 after it, either 503 and 507 until
it can be written again or exit code 75, and nothing acknowledged is lost."""
import contextlib
import os
import subprocess
import time
from pathlib import Path

import pytest

from hostile import MountNotAllowed, judge, small_disk
from rig import (EXIT_FATAL, Client, FaultServer, PowerDisk, Shim, Storm, keep_on_failure, running,
                 start_seed)
from server import wait_until

EXIT_WITHIN = 5  # seconds
NOT_STORED = (503, 507)


@pytest.fixture
def ext4(tmp_path):
    """An ext4 of its own that turns read-only at the first error, as servers mount theirs."""
    try:
        disk = PowerDisk(tmp_path, mebibytes=64)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"no loop mounts here: {getattr(error, 'stderr', None) or error}")
    try:
        subprocess.run(["mount", "-o", "remount,errors=remount-ro", disk.folder], check=True)
        yield disk
    finally:
        disk.close()


def turn_read_only(disk):
    """What the kernel does at a damaged block: from here on every write fails with EROFS."""
    trigger = Path("/sys/fs/ext4") / Path(disk.device).name / "trigger_fs_error"
    if not trigger.exists():
        pytest.skip("this kernel's ext4 cannot be told to fail")
    trigger.write_text("eventflow")


def turn_read_only_between_syncs(server, disk):
    """The kernel reports success for a sync that is under way at that very moment, although its
    journal has been given up: no program can know better, so none is under way."""
    server.freeze("Tt")
    turn_read_only(disk)
    server.thaw()


@contextlib.contextmanager
def no_202_meanwhile(storm, client):
    """Begins once nothing is accepted any more; the ledger then holds the server to it until the
    block ends."""
    def is_over():
        status = client.post(f"ro-{len(client.answers)}")
        if status is None:
            return storm.server.process.poll() is not None
        return status in NOT_STORED
    wait_until(is_over, f"no more 202: {client.answers[-3:]}", EXIT_WITHIN)
    began = time.time_ns()
    yield
    storm.faults.add("read-only", began, time.time_ns())


def check_end(server):
    """What still runs answers reads; what does not ended with the code that says so."""
    with contextlib.suppress(OSError):
        if server.get("/health/live").status == 200 and server.get("/health/ready").status == 200:
            assert server.get("/metrics").status == 200
            assert server.get("/events?limit=1").status in (200, 503)
            return
    assert server.process.wait(EXIT_WITHIN) == EXIT_FATAL, server.tail()


def test_a_disk_that_the_kernel_turns_read_only(ext4, tmp_path):
    seed = start_seed(51)
    server = FaultServer(ext4.folder / "data", log=tmp_path / "server.log")
    with running(server.start()), \
            keep_on_failure("read_only", server.folder, tmp_path / "ledger",
                            tmp_path / "faults.jsonl", server.log_path, seed=seed), \
            Storm(server, tmp_path, seed) as storm:
        storm.wait_for_progress()
        turn_read_only_between_syncs(server, ext4)
        client = Client(server.url)
        with no_202_meanwhile(storm, client):
            check_end(server)
            time.sleep(0.3)  # for the load to be refused, too
        server.kill()
        ext4.power_on()
        server.start()
        storm.wait_for_progress()
        judge(storm, "ro-")


def test_writes_that_fail_with_erofs_and_work_again(tmp_path):
    """The shim's form of it, which needs no mount: after it events are accepted again, by the same
    process or, after exit code 75, by the next one."""
    seed = start_seed(52)
    shim = Shim(tmp_path / "data", tmp_path)
    server = FaultServer(tmp_path / "data", env=shim.env)
    with running(server.start()), \
            keep_on_failure("erofs", server.folder, tmp_path, seed=seed), \
            Storm(server, tmp_path, seed) as storm:
        storm.wait_for_progress()
        shim.set("write * from=1 errno=EROFS; truncate * from=1 errno=EROFS")
        client = Client(server.url)
        with no_202_meanwhile(storm, client):
            check_end(server)
            time.sleep(0.3)  # for the load to be refused, too
        shim.set("")
        if not server.is_running():
            server.start()
        wait_until(lambda: client.post(f"ro-{len(client.answers)}") == 202, "writes to work again",
                   EXIT_WITHIN)
        storm.wait_for_progress()
        judge(storm, "ro-")


def test_a_folder_on_a_read_only_mount_is_refused_at_start(tmp_path):
    """An administrator cannot remount below a running program (EBUSY); a start on it says why."""
    try:
        with small_disk("size=16m") as disk:
            check_remounts(disk, tmp_path)
    except MountNotAllowed as why:
        pytest.skip(f"no mounts here: {why}")


def remount(disk, how):
    return subprocess.run(["mount", "-o", f"remount,{how}", disk],
                          stderr=subprocess.PIPE).returncode


def check_remounts(disk, tmp_path):
    server = FaultServer(disk / "data", log=tmp_path / "server.log")
    with running(server.start()):
        client = Client(server.url)
        assert client.post("a") == 202
        assert remount(disk, "ro") != 0, "busy"
        assert client.post("b") == 202
        client.close()
        server.wait_idle()
        assert server.stop() == 0
        assert remount(disk, "ro") == 0
        server.start(wait=False)
        code = server.process.wait(EXIT_WITHIN)
        assert code == 78 and os.strerror(30) in server.tail(), f"{code}: {server.tail()}"
        assert remount(disk, "rw") == 0
        server.start()
        assert server.wait_idle()["processed"] == 2
