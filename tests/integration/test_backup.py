"""Backup: what was acknowledged before it began is in it and ends exactly once; whatever ends it
leaves nothing half done, and it replaces nothing but an older backup."""
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import tarfile
import tempfile
import threading

import pytest
from backups import (CAMPAIGN, backup, fill, is_clean, large, names, needs_root,  # noqa: F401
                     restore, saved)
from conftest import BINARY, ROOT, event, run, wait_until

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


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_the_help_names_every_exit_code_that_the_manual_names(command):
    """The table of both in docs/operations.md; 64 is for whoever needs the help."""
    text = " ".join(run(command, "--help").stdout.split())
    column = ["backup", "restore"].index(command)
    table = (ROOT / "docs/operations.md").read_text().split("| Exit code | `backup` |")[1]
    rows = [re.split(r" ?\| ?", line) for line in table.split("\n\n")[0].splitlines()[2:]]
    codes = [row[1] for row in rows if row[2 + column] and row[1] != "64"]
    assert len(codes) >= 7 and text.count("Exit code 0 when") == 1
    for code in codes:
        assert re.search(rf"\b{code} when", text), code


def test_a_database_that_a_foreign_program_locks_is_busy_and_not_damaged(saved, tmp_path):
    """After five seconds: 69, and for the doctor a problem, as it could not look."""
    folder = shutil.copytree(saved[0], tmp_path / "data")
    holder = sqlite3.connect(folder / "eventflow.db", isolation_level=None)
    for sql in ("PRAGMA locking_mode = EXCLUSIVE", "BEGIN IMMEDIATE",
                "UPDATE counters SET value = value", "COMMIT"):
        holder.execute(sql)
    made = [subprocess.Popen([BINARY, *command, "--data", folder], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
            for command in (["backup", tmp_path / "b.tar"], ["doctor"])]
    texts = [process.communicate(timeout=60)[0] for process in made]
    holder.close()
    assert [process.returncode for process in made] == [69, 65], texts
    assert all("locked" in text for text in texts), texts
    assert names(tmp_path) == ["data"] and is_clean(folder)


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


@needs_root
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
    """A backup that is stopped (SIGSTOP) in the first half of its partial file, which is locked then;
    by chance it may be too late, then another one is begun."""

    def __init__(self, folder, file, stderr=subprocess.PIPE):
        self.file = file
        self.partial = file.with_name(file.name + ".partial")
        for _ in range(200):
            self.process = subprocess.Popen(
                [BINARY, "backup", file, "--data", folder, "--force"], stdout=subprocess.PIPE,
                stderr=stderr, text=True)
            while not self.is_writing() and self.process.poll() is None:
                pass
            self.process.send_signal(signal.SIGSTOP)
            if self.is_in_time(folder):
                return
            self.process.send_signal(signal.SIGCONT)
            self.process.communicate()
            file.unlink()
        raise AssertionError("never in time to stop a backup")

    def is_in_time(self, folder):
        """Much is left to be copied: it will still look for signals and show progress."""
        whole = sum((folder / name).stat().st_size for name in ("eventflow.db", "queue.db"))
        return self.partial.exists() and self.partial.stat().st_size < whole / 2

    def is_writing(self):
        try:
            return self.partial.stat().st_size > 0
        except FileNotFoundError:
            return False

    def end(self, *signals):
        for number in (*signals, signal.SIGCONT):
            self.process.send_signal(number)
        out, error = self.process.communicate(timeout=60)
        return self.process.returncode, out, error


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


def shown_by_a_long_backup(folder, file):
    """What a terminal gets of a backup that is stopped for longer than its silence lasts: its clock
    began before its partial file appeared."""
    terminal, tty = os.openpty()
    stopped = Stopped(folder, file, stderr=tty)
    os.close(tty)
    threading.Timer(2.1, stopped.process.send_signal, [signal.SIGCONT]).start()
    shown = b""
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:
        pass  # the other side was closed
    os.close(terminal)
    stopped.process.communicate()
    assert stopped.process.returncode == 0
    return shown


def test_a_long_backup_shows_progress_on_a_terminal(large, tmp_path):
    """By chance one may be stopped when it has nothing left to show, so a few are tried."""
    for _ in range(5):
        shown = shown_by_a_long_backup(large, tmp_path / "b.tar")
        if b"copying" in shown:
            break
    assert b"%" in shown and b"copying" in shown and shown.endswith(b"\r\x1b[K"), shown


# ---- what is never replaced --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["eventflow.db", "queue.db", "queue.db-wal", "eventflow.lock",
                                  "running", "restoring"])
def test_a_backup_never_takes_a_name_of_the_data_itself(saved, tmp_path, name):
    folder = shutil.copytree(saved[0], tmp_path / "data")
    (tmp_path / "link").symlink_to(folder)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    for path in (folder / name, tmp_path / "link" / name):
        result = backup(folder, path, "--force")
        assert result.returncode == 1 and "data folder's own" in result.stderr, result
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert backup(folder, folder / "eventflow.tar").returncode == 0
    assert backup(folder, tmp_path / name).returncode == 0


def test_only_a_plain_file_is_replaced_with_force(saved, tmp_path):
    folder, _ = saved
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "real").write_text("mine")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "nowhere").symlink_to("nothing")
    before = names(tmp_path)
    for name in ("pipe", "link", "nowhere"):
        result = backup(folder, tmp_path / name, "--force")
        assert result.returncode == 1 and "no plain file" in result.stderr, result
        assert backup(folder, tmp_path / name).returncode == 1
    assert names(tmp_path) == before and (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "mine"


def test_a_partial_file_of_somebody_else_is_not_used(saved, tmp_path):
    """Else he could read the backup, or change it later."""
    folder, _ = saved
    partial = tmp_path / "b.tar.partial"
    victim = tmp_path / "victim"
    victim.write_text("mine")
    makers = [lambda: os.link(victim, partial), lambda: partial.symlink_to(victim),
              lambda: os.mkfifo(partial)]
    if os.geteuid() == 0:
        makers.append(lambda: (partial.write_text("his"), os.chown(partial, 65534, 65534)))
    for make in makers:
        make()
        result = backup(folder, tmp_path / "b.tar")
        assert result.returncode == 74 and "remove it" in result.stderr, result
        partial.unlink()
        assert names(tmp_path) == ["victim"] and victim.read_text() == "mine"
    partial.write_text("of a backup that was killed")
    assert backup(folder, tmp_path / "b.tar").returncode == 0
