"""Backup and restore: what was acknowledged before a backup began is in it and ends exactly once;
a damaged backup is never restored, and whatever ends either of them leaves nothing half done."""
import hashlib
import io
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import tarfile
import tempfile
import threading

import pytest
from conftest import BINARY, event, run, wait_until
from server import Server

FIRST_DATABASE = 8192  # where eventflow.db begins, in every backup
CAMPAIGN = {"id": "all", "name": "all", "rules": {"event_type": ["purchase"]}}


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


# ---- under load ------------------------------------------------------------------------------


class Poster(threading.Thread):
    """Posts batches until it is told to stop; acked grows by the ids of each answered batch."""

    def __init__(self, server, name, size):
        super().__init__()
        self.server, self.prefix, self.size = server, name, size
        self.acked, self.batches, self.is_over, self.error = [], 0, threading.Event(), None

    def run(self):
        try:
            while not self.is_over.is_set():
                ids = [f"{self.prefix}-{self.batches}-{n}" for n in range(10)]
                # One of them again: it must end as a duplicate, once.
                self.server.send(*[event(i, payload={"text": "x" * self.size})
                                   for i in ids + ids[:1]])
                self.acked.extend(ids)
                self.batches += 1
        except BaseException as error:
            self.error = error


def ends_of(server):
    """How often each event id was processed."""
    return dict(server.sql("SELECT event_id, count(*) FROM processed GROUP BY event_id"))


def test_a_backup_under_load_has_what_was_acknowledged_before_exactly_once(make_server, tmp_path):
    """Bodies are large, so that checkpoints of both files happen between and during the copies."""
    server = make_server()
    server.post("/campaigns", CAMPAIGN)
    posters = [Poster(server, f"p{n}", 60000) for n in range(3)]
    for poster in posters:
        poster.start()
    acked, made, sizes = [], [], []
    for n in range(3):
        wait_until(lambda: all(p.batches > 6 * n or p.error for p in posters), "batches")
        acked.append([i for p in posters for i in list(p.acked)])
        made.append(backup(server.folder, tmp_path / f"{n}.tar", "--json"))
        sizes.append((server.folder / "queue.db").stat().st_size)
    for poster in posters:
        poster.is_over.set()
        poster.join()
        assert poster.error is None, poster.error
    assert sizes[0] < sizes[2], "no checkpoint has happened"
    assert len(acked[0]) < len(acked[1]) < len(acked[2])
    for n, result in enumerate(made):
        assert result.returncode == 0, result.stderr
        copy = tmp_path / f"copy{n}"
        assert restore(tmp_path / f"{n}.tar", copy).returncode == 0
        second = make_server(folder=copy.name)
        summary = second.wait_idle()
        assert summary["received"] == json.loads(result.stdout)["accepted"]
        ends = ends_of(second)
        assert set(ends.values()) == {1} and not set(acked[n]) - set(ends)
        assert summary["matches"] == summary["processed"] == len(ends)
        assert second.stop() == 0 and is_clean(copy)
    assert server.stop() == 0 and is_clean(server.folder)


def test_a_restored_program_goes_on_where_the_backup_was(make_server, saved, tmp_path):
    _, file = saved
    assert restore(file, tmp_path / "data").returncode == 0
    server = make_server()
    fill(server, "saved", 40)
    fill(server, "new", 5)
    summary = server.wait_idle()
    assert (summary["processed"], summary["duplicate"], summary["matches"]) == (45, 40, 45)
    assert not [line for line in server.log_lines() if "cleanly" in line["message"]]


# ---- backup ----------------------------------------------------------------------------------


def test_a_backup_is_a_tar_of_three_files_that_says_what_it_holds(saved):
    folder, file = saved
    with tarfile.open(file) as tar:
        assert tar.getnames() == ["manifest.json", "eventflow.db", "queue.db"]
        manifest = json.load(tar.extractfile("manifest.json"))
        contents = {name: tar.extractfile(name).read() for name in tar.getnames()}
    assert manifest["format"] == 1 and manifest["processed"] == manifest["position"] == 40
    for member in manifest["members"]:
        content = contents[member["name"]]
        assert member["size"] == len(content)
        assert member["sha256"] == hashlib.sha256(content).hexdigest()
    assert contents["queue.db"][18:20] == b"\x02\x02", "it stays a database with a write-ahead log"
    assert subprocess.run(["tar", "tvf", file], capture_output=True).returncode == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert names(folder) == ["eventflow.db", "eventflow.lock", "queue.db"]


def test_an_existing_file_is_replaced_with_force_only(saved, tmp_path):
    folder, _ = saved
    file = tmp_path / "b.tar"
    file.write_text("mine")
    result = backup(folder, file)
    assert result.returncode == 1 and "exists already" in result.stderr
    assert file.read_text() == "mine"
    assert backup(folder, file, "--force").returncode == 0
    assert tarfile.is_tarfile(file) and names(tmp_path) == ["b.tar"]


def test_what_cannot_be_backed_up_is_refused_with_a_reason(tmp_path, saved):
    folder, _ = saved
    for arguments, code, text in [
            (["-"], 64, "cannot be '-'"), ([], 64, "which FILE"), (["a", "b"], 64, "one FILE"),
            ([tmp_path], 64, "not of a folder"), ([tmp_path / "no/b.tar"], 74, "No such file"),
            ([tmp_path / "b.tar", "--dta", folder], 78, "--data")]:
        result = run("backup", *arguments, "--data", folder)
        assert result.returncode == code and text in result.stderr, result
    result = backup(tmp_path / "nowhere", tmp_path / "b.tar")
    assert result.returncode == 66 and "eventflow.db" in result.stderr
    (tmp_path / "eventflow.db").write_text("no database" * 1000)
    result = backup(tmp_path, tmp_path / "b.tar")
    assert result.returncode == 65 and "damaged" in result.stderr
    assert names(tmp_path) == ["eventflow.db"]


def test_a_full_disk_ends_a_backup_with_74_and_leaves_nothing(saved, tmp_path):
    folder, file = saved
    for size in (100, 10000, file.stat().st_size - 1):
        result = subprocess.run(
            [BINARY, "backup", tmp_path / "b.tar", "--data", folder], capture_output=True,
            text=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
        assert result.returncode == 74 and "File too large" in result.stderr, result
        assert names(tmp_path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_that_may_only_be_read_can_be_backed_up(saved):
    folder, _ = saved
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        os.chmod(place, 0o777)
        shutil.copytree(folder, f"{place}/data")
        os.chmod(f"{place}/data", 0o555)
        result = subprocess.run(
            [BINARY, "backup", f"{place}/b.tar", "--data", f"{place}/data"], capture_output=True,
            text=True, user=65534, group=65534, extra_groups=[])
        assert result.returncode == 0, result.stderr
        assert restore(f"{place}/b.tar", f"{place}/copy").returncode == 0


class Stopped:
    """A backup that is stopped (SIGSTOP) after its partial file has appeared and before it is
    renamed; by chance it may be too late, then another one is begun."""

    def __init__(self, folder, file):
        self.file = file
        self.partial = file.with_name(file.name + ".partial")
        for _ in range(200):
            self.process = subprocess.Popen(
                [BINARY, "backup", file, "--data", folder, "--force"], stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True)
            while not self.partial.exists() and self.process.poll() is None:
                pass
            self.process.send_signal(signal.SIGSTOP)
            if self.partial.exists():
                return
            self.process.send_signal(signal.SIGCONT)
            self.process.communicate()
            file.unlink()
        raise AssertionError("never in time to stop a backup")

    def end(self, *signals):
        for number in (*signals, signal.SIGCONT):
            self.process.send_signal(number)
        out, error = self.process.communicate(timeout=60)
        return self.process.returncode, out, error


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A stopped folder with 12 MB in it, so that a backup takes its time."""
    server = Server(tmp_path_factory.mktemp("large") / "data").start()
    for n in range(20):
        fill(server, f"large{n}", 10, 60000)
    server.wait_idle()
    assert server.stop() == 0
    return server.folder


def test_a_killed_backup_leaves_no_file_and_the_next_one_succeeds(large, tmp_path):
    killed = Stopped(large, tmp_path / "b.tar")
    assert killed.end(signal.SIGKILL)[0] == -signal.SIGKILL
    assert names(tmp_path) == ["b.tar.partial"]
    assert restore(tmp_path / "b.tar.partial", tmp_path / "copy").returncode == 65
    assert backup(large, tmp_path / "b.tar").returncode == 0
    assert names(tmp_path) == ["b.tar"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_backup_cleans_up_and_ends_by_the_signal(large, tmp_path, number):
    code, out, error = Stopped(large, tmp_path / "b.tar").end(number)
    assert (code, out) == (-number, "") and "interrupted" in error
    assert names(tmp_path) == []


def test_two_backups_do_not_write_the_same_file(large, tmp_path):
    first = Stopped(large, tmp_path / "b.tar")
    result = backup(large, tmp_path / "b.tar", "--force")
    assert result.returncode == 73 and "another backup" in result.stderr
    assert first.end()[0] == 0
    assert restore(tmp_path / "b.tar", tmp_path / "copy").returncode == 0


def test_a_long_backup_shows_progress_on_a_terminal(large, tmp_path):
    """It appears after two seconds, of which the backup spends most stopped."""
    terminal, tty = os.openpty()
    process = subprocess.Popen([BINARY, "backup", tmp_path / "b.tar", "--data", large], stderr=tty,
                               stdout=subprocess.PIPE)
    os.close(tty)
    process.send_signal(signal.SIGSTOP)
    threading.Timer(2.1, process.send_signal, [signal.SIGCONT]).start()
    shown = b""
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:
        pass  # the other side was closed
    os.close(terminal)
    assert process.wait(60) == 0
    if b"%" in shown:  # else it was stopped before it had read its first clock
        assert b"MB of" in shown and shown.endswith(b"\r\x1b[K")


# ---- restore ---------------------------------------------------------------------------------


def refused(file, tmp_path, code=65):
    """The restore of this file is refused, and the folder is not even made."""
    result = restore(file, tmp_path / "copy")
    assert result.returncode == code, result
    assert not (tmp_path / "copy").exists()
    return result.stderr


def test_a_truncated_backup_is_refused_and_says_where_it_ends(saved, tmp_path):
    _, file = saved
    content = file.read_bytes()
    broken = tmp_path / "b.tar"
    for size in (0, 100, 512, 5000, FIRST_DATABASE - 1, FIRST_DATABASE, 50000, len(content) - 1025,
                 len(content) - 1):
        broken.write_bytes(content[:size])
        text = refused(broken, tmp_path)
        assert str(size) in text and ("cut off" in text or "ends at byte" in text), text
    broken.write_bytes(content + b"x")
    assert "something was added" in refused(broken, tmp_path)


def test_a_flipped_bit_anywhere_is_found_and_its_place_named(saved, tmp_path):
    _, file = saved
    content = file.read_bytes()
    with tarfile.open(file) as tar:
        places = {m.name: (m.offset, m.offset_data, m.offset_data + m.size) for m in tar}
    broken = tmp_path / "b.tar"
    spots = [0, 130, 150, 300, 520, 700, 4000, FIRST_DATABASE - 513, len(content) - 1024,
             len(content) - 1]
    for head, begin, end in places.values():
        spots += [head, head + 125, head + 511, begin, (begin + end) // 2, end - 1]
    for spot in spots:
        for bit in (1 << spot % 8,):
            broken.write_bytes(content[:spot] + bytes([content[spot] ^ bit]) + content[spot + 1:])
            text = refused(broken, tmp_path)
            if spot >= FIRST_DATABASE - 512 and spot < len(content) - 1024:
                where = next(n for n, (head, _, end) in places.items() if head <= spot < end)
                assert where in text, (spot, text)


def seal(manifest):
    """A manifest of another text with a right checksum: what a program with that format makes."""
    text = json.dumps(manifest).ljust(7167).encode() + b"\n"
    digest = hashlib.sha256(text).hexdigest()
    return text.replace(b"0" * 64, digest.encode())


def test_a_newer_format_is_told_from_a_damaged_one(saved, tmp_path):
    _, file = saved
    content = file.read_bytes()
    manifest = json.loads(content[512:7680])
    manifest.update(format=2, manifest_sha256="0" * 64)
    (tmp_path / "b.tar").write_bytes(content[:512] + seal(manifest) + content[7680:])
    assert "newer program (format 2" in refused(tmp_path / "b.tar", tmp_path, 76)
    manifest.update(format=1)
    (tmp_path / "b.tar").write_bytes(content[:512] + seal(manifest) + content[7680:])
    assert restore(tmp_path / "b.tar", tmp_path / "copy").returncode == 0


def with_database(content, name, change):
    """The backup with one database changed by SQL, and everything else made to fit it."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        members = {m.name: (m, tar.extractfile(m).read()) for m in tar}
    with tempfile.NamedTemporaryFile() as file:
        file.write(members[name][1])
        file.flush()
        connection = sqlite3.connect(file.name, isolation_level=None)
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute(change)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
        with open(file.name, "rb") as again:
            changed = again.read()
    assert len(changed) == len(members[name][1])
    manifest = json.loads(members["manifest.json"][1])
    manifest["manifest_sha256"] = "0" * 64
    for member in manifest["members"]:
        if member["name"] == name:
            member["sha256"] = hashlib.sha256(changed).hexdigest()
    begin = members[name][0].offset_data
    out = bytearray(content)
    out[begin:begin + len(changed)] = changed
    out[512:7680] = seal(manifest)
    return bytes(out)


@pytest.mark.parametrize("name, change, code, text", [
    ("eventflow.db", "PRAGMA user_version = 99", 76, "newer"),
    ("queue.db", "PRAGMA user_version = 99", 76, "newer"),
    ("eventflow.db", "UPDATE counters SET value = 39 WHERE name = 'processed'", 65, "not add up"),
    ("queue.db", "DELETE FROM raw_events WHERE seq > 30", 65, "do not add up"),
])
def test_a_whole_backup_of_wrong_databases_does_not_take_their_place(saved, tmp_path, name, change,
                                                                     code, text):
    _, file = saved
    (tmp_path / "b.tar").write_bytes(with_database(file.read_bytes(), name, change))
    (tmp_path / "copy").mkdir()
    result = restore(tmp_path / "b.tar", tmp_path / "copy")
    assert result.returncode == code and text in result.stderr, result
    assert names(tmp_path / "copy") == ["eventflow.lock"]


@pytest.mark.parametrize("name", ["eventflow.db", "queue.db"])
def test_a_backup_of_an_older_schema_is_restored_for_the_next_start_to_migrate(saved, tmp_path,
                                                                               name):
    _, file = saved
    (tmp_path / "b.tar").write_bytes(
        with_database(file.read_bytes(), name, "PRAGMA user_version = 1"))
    result = restore(tmp_path / "b.tar", tmp_path / "copy")
    assert result.returncode == 0 and "older schema" in result.stdout, result


def test_a_folder_with_databases_is_refused_and_with_force_put_aside(make_server, saved, tmp_path):
    _, file = saved
    server = make_server()
    fill(server, "old", 7)
    server.wait_idle()
    in_use = restore(file, server.folder, "--force")
    assert in_use.returncode == 73 and str(server.process.pid) in in_use.stderr
    server.kill()
    before = {f.name: f.read_bytes() for f in server.folder.iterdir()}
    assert "eventflow.db-wal" in before and "running" in before
    refusal = restore(file, server.folder)
    assert refusal.returncode == 1 and "--force" in refusal.stderr
    after = {f.name: f.read_bytes() for f in server.folder.iterdir()}
    assert {**after, "eventflow.lock": b""} == {**before, "eventflow.lock": b""}

    result = restore(file, server.folder, "--force", "--json")
    assert result.returncode == 0, result.stderr
    aside = json.loads(result.stdout)["replaced"]
    assert names(server.folder) == ["eventflow.db", "eventflow.lock", "queue.db",
                                    os.path.basename(aside)]
    for name in ("eventflow.db", "eventflow.db-wal", "queue.db", "queue.db-wal"):
        with open(f"{aside}/{name}", "rb") as kept:
            assert kept.read() == before[name], name
    assert "accepted 7 = processed 7" in run("doctor", "--data", aside).stdout
    assert "accepted 40 = processed 40" in run("doctor", "--data", server.folder).stdout
    server.start()
    assert server.summary()["processed"] == 40


def test_a_lost_database_is_brought_back_with_force(make_server, saved, tmp_path):
    """The server refuses a log without results; a restore is the way out."""
    _, file = saved
    server = make_server()
    fill(server, "old", 7)
    assert server.stop() == 0
    (server.folder / "eventflow.db").unlink()
    assert restore(file, server.folder).returncode == 1
    assert restore(file, server.folder, "--force").returncode == 0
    server.start()
    assert server.summary()["processed"] == 40


def test_a_full_disk_or_a_folder_that_cannot_be_made_changes_nothing(saved, tmp_path):
    _, file = saved
    result = subprocess.run(
        [BINARY, "restore", file, "--data", tmp_path / "copy"], capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000)))
    assert result.returncode == 74 and "File too large" in result.stderr, result
    assert names(tmp_path / "copy") == ["eventflow.lock"]
    (tmp_path / "plain").write_text("")
    assert restore(file, tmp_path / "plain/copy").returncode == 78
    assert restore(tmp_path / "nothing.tar", tmp_path / "copy").returncode == 66
    assert restore(file, tmp_path / "copy").returncode == 0


def test_a_restore_killed_anywhere_can_be_made_again(saved, make_server, tmp_path):
    """At each system call that changes a name: the server then refuses or finds nothing; a second
    restore succeeds."""
    strace = "/usr/bin/strace"
    if not os.path.exists(strace):
        pytest.skip("strace is not installed")
    folder, file = saved
    for call in ("mkdir", "rename", "link"):
        for nth in range(1, 20):
            copy = tmp_path / f"{call}{nth}"
            subprocess.run(["cp", "-r", folder, copy], check=True)
            environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
            killed = subprocess.run(
                [strace, "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                 f"inject={call}:signal=SIGKILL:when={nth}", BINARY, "restore", file, "--data",
                 copy, "--force"], capture_output=True, text=True, env=environment)
            if killed.returncode == 0:
                assert nth > 1, f"{call} is never called"
                break
            state = run("doctor", "--data", copy)
            assert state.returncode == (0 if (copy / "eventflow.db").exists() else 65), state.stdout
            assert (copy / "eventflow.db").exists() or (copy / "queue.db").exists()
            assert restore(file, copy, "--force").returncode == 0
            assert is_clean(copy)
