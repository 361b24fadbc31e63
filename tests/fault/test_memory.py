"""With 128 MiB of memory and more load than it can take: 503 is the answer, not the kernel's OOM
killer, and nothing acknowledged is lost."""
import time

import pytest

from hostile import CROWDS, Crowd, judge, rss_bytes
from memory_group import MemoryGroup, NoGroups, place_for_a_group
from rig import FaultServer, Shim, Storm, keep_on_failure, rounds, running, start_seed
from server import wait_until

LIMIT = 128 << 20  # bytes
FLOOD = 300        # connections that send a thousand events each, over and over
FEW = 8            # of them are enough to keep the worker busy
OVERLOAD = 2       # times what is processed, at least
TRIES = 3          # the machine is shared: to be so much faster than the program may fail
SECONDS = rounds(5, 20)  # memory that grows with the load needs some to be seen


@pytest.fixture
def small_memory():
    try:
        group = MemoryGroup(LIMIT)
    except NoGroups as why:
        pytest.skip(f"THE MEMORY LIMIT IS NOT TESTED: {why}")
    yield group
    wait_until(lambda: not group.processes(), "the group to be empty")
    group.close()


def check_memory(server, group):
    assert group.kills() == 0
    assert rss_bytes(server.process.pid, "VmHWM") < LIMIT


@pytest.mark.parametrize("kind", ["flood", "heavy"])
def test_overload_of_a_slow_disk_is_refused_and_not_killed(small_memory, tmp_path, kind):
    """Every sync takes 300 ms, so the disk takes less than a tenth of what arrives: many small
    events, or few with nearly a mebibyte in each request. The default limits fit themselves."""
    seed = start_seed(71)
    shim = Shim(tmp_path / "data", tmp_path)
    server = FaultServer(tmp_path / "data", env=shim.env, prefix=small_memory.prefix())
    with running(server.start()), \
            keep_on_failure("memory", server.folder, tmp_path, seed=seed), \
            Storm(server, tmp_path, seed, connections=32) as storm:
        assert str(server.process.pid) in small_memory.processes()
        storm.wait_for_progress()
        shim.set("sync * from=1 delay_us=300000")
        with Crowd(server.port, kind, FLOOD) as crowd:
            wait_until(lambda: refusals(server) > rounds(200, 2000), "refusals", 60)
            assert server.get("/health/live").status == 200
        shim.set("")
        storm.wait_for_progress()
        check_memory(server, small_memory)
        assert crowd.left["statuses"].keys() <= {"202", "503", "0", "closed"}, crowd.left
        judge(storm, "crowd-")


def refusals(server):
    """Answers 503 so far, of all routes."""
    try:
        text = server.get("/metrics", url=f"http://127.0.0.1:{server.metrics_port}").body.decode()
    except OSError as error:
        raise AssertionError(f"it ended with {server.process.wait(10)}: {server.tail()}") from error
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
               if line.startswith("http_requests_total") and 'status="503"' in line)


def sustained(server):
    """Events processed a second, with more at hand than can be."""
    with Crowd(server.port, "flood", FEW):
        wait_until(lambda: server.summary()["waiting"] > 0, "work to be waiting")
        before, began = server.summary()["processed"], time.monotonic()
        time.sleep(SECONDS)  # a rate is about a stretch of time, so one has to pass
        return (server.summary()["processed"] - before) / (time.monotonic() - began)


def overload(server):
    """Events a second that were sent and answered, and how many of them with 202."""
    with Crowd(server.port, "flood", FLOOD) as crowd:
        began = time.monotonic()
        time.sleep(SECONDS)
        assert server.get("/health/live").status == 200
        took = time.monotonic() - began
    answers, (each, _) = crowd.left["statuses"], CROWDS["flood"]
    assert answers["503"] > 0 and answers.keys() <= {"202", "503"}, answers
    return (answers["202"] + answers["503"]) * each / took, answers["202"] * each


def test_twice_the_sustainable_load_is_refused_and_not_killed(small_memory, tmp_path):
    """On a good disk: measured is what it processes, and what is then sent and answered."""
    server = FaultServer(tmp_path / "data", prefix=small_memory.prefix())
    with running(server.start()), keep_on_failure("overload", server.log_path):
        rate = sustained(server)
        received, tries = server.summary()["received"], []
        while len(tries) < TRIES and max(tries, default=0) < OVERLOAD * rate:
            offered, accepted = overload(server)
            received += accepted
            tries.append(offered)
            check_memory(server, small_memory)
        assert tries[-1] >= OVERLOAD * rate, f"no overload: {tries} a second, {rate:.0f} processed"
        summary = server.wait_idle()
        assert summary["received"] >= received
        assert summary["processed"] == summary["received"], summary
        check_memory(server, small_memory)


@pytest.mark.parametrize("text,made,place", [
    ("4:memory:/a\n0::/x\n", "memory/a/memory.limit_in_bytes", (1, "memory/a")),
    ("0::/a/b\n", "a/b/cgroup.subtree_control", (2, "a/b")),
    ("0::/a/b\n", "a/cgroup.subtree_control", (2, "a")),
    ("0::/\n", "cgroup.subtree_control", (2, "."))])
def test_the_place_for_a_group_is_found_in_either_version(tmp_path, text, made, place):
    (tmp_path / "a/b").mkdir(parents=True)
    with pytest.raises(NoGroups):
        place_for_a_group(tmp_path, text)
    (tmp_path / made).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / made).write_text("cpu memory pids\n")
    assert place_for_a_group(tmp_path, text) == (place[0], tmp_path / place[1])
