"""With 128 MiB of memory and more load than the disk takes: 503 is the answer, not the kernel's
OOM killer, and nothing acknowledged is lost."""
import contextlib
import os
from pathlib import Path

import pytest

from hostile import Crowd, judge, rss_bytes
from rig import FaultServer, Shim, Storm, keep_on_failure, rounds, running, start_seed
from server import wait_until

LIMIT = 128 << 20  # bytes
FLOOD = 300        # connections that send a thousand events each, over and over
GROUPS = Path("/sys/fs/cgroup/memory")


def own_group():
    """Where this process stands in the tree of memory groups (cgroup v1)."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    path = next((line.split(":", 2)[2] for line in lines if line.split(":")[1] == "memory"), None)
    if path is None or not (GROUPS / path.lstrip("/") / "memory.limit_in_bytes").exists():
        pytest.skip("no memory groups (cgroup v1) here: the memory limit is not tested")
    return GROUPS / path.lstrip("/")


@pytest.fixture
def small_memory():
    """A group below our own: all limits that we have stay in force."""
    group = own_group() / f"eventflow-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(LIMIT))
    except OSError as error:
        with contextlib.suppress(OSError):
            group.rmdir()
        pytest.skip(f"no memory group can be made here: {error}")
    yield group
    wait_until(lambda: (group / "cgroup.procs").read_text() == "", "the group to be empty")
    group.rmdir()


def kills(group):
    """How often the kernel ended a process for want of memory."""
    return int((group / "memory.oom_control").read_text().split("oom_kill ")[1].split()[0])


@pytest.mark.parametrize("kind,flags",
                         [("flood", ()), ("heavy", ("--inflight-bytes-max", "32MiB"))])
def test_overload_is_refused_and_not_killed(small_memory, tmp_path, kind, flags):
    """Every sync takes 300 ms, so the disk takes less than a tenth of what arrives. Large bodies
    take about twice their size, so the setting has to fit the memory there is."""
    seed = start_seed(71)
    shim = Shim(tmp_path / "data", tmp_path)
    server = FaultServer(tmp_path / "data", *flags, env=shim.env, prefix=[
        "sh", "-c", f'echo $$ > {small_memory}/cgroup.procs; exec "$@"', "sh"])
    with running(server.start()), \
            keep_on_failure("memory", server.folder, tmp_path, seed=seed), \
            Storm(server, tmp_path, seed, connections=32) as storm:
        assert str(server.process.pid) in (small_memory / "cgroup.procs").read_text()
        storm.wait_for_progress()
        shim.set("sync * from=1 delay_us=300000")
        with Crowd(server.port, kind, FLOOD) as crowd:
            wait_until(lambda: refusals(server) > rounds(200, 2000), "refusals", 60)
            assert server.get("/health/live").status == 200
        shim.set("")
        storm.wait_for_progress()
        assert kills(small_memory) == 0
        assert rss_bytes(server.process.pid, "VmHWM") < LIMIT
        assert crowd.left["statuses"].keys() <= {"202", "503", "0"}, crowd.left
        judge(storm, "crowd-")


def refusals(server):
    """Answers 503 so far, of all routes."""
    try:
        text = server.get("/metrics", url=f"http://127.0.0.1:{server.metrics_port}").body.decode()
    except OSError as error:
        raise AssertionError(f"it ended with {server.process.wait(10)}: {server.tail()}") from error
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
               if line.startswith("http_requests_total") and 'status="503"' in line)
