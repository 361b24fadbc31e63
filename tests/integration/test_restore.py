"""Restore: a damaged backup is never restored, what a folder holds is never lost, and what is done
half can be done again."""
import hashlib
import io
import json
import os
import resource
import sqlite3
import subprocess
import tarfile
import tempfile

import pytest
from backups import FIRST_DATABASE, fill, names, needs_root, restore, saved  # noqa: F401
from conftest import BINARY, run


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


def replace_member(content, name, begin, changed):
    """The backup with one database replaced by another one of its size."""
    manifest = json.loads(content[512:7680])
    manifest["manifest_sha256"] = "0" * 64
    for member in manifest["members"]:
        if member["name"] == name:
            member["sha256"] = hashlib.sha256(changed).hexdigest()
    out = bytearray(content)
    out[begin:begin + len(changed)] = changed
    out[512:7680] = seal(manifest)
    return bytes(out)


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
    return replace_member(content, name, members[name][0].offset_data, changed)


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


def with_damaged_page(content, name):
    """As with_database: the b-tree's root of a table is overwritten, the schema is an older one."""
    content = with_database(content, name, "PRAGMA user_version = 1")
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        member = tar.getmember(name)
        database = bytearray(tar.extractfile(name).read())
    database[2 * 4096:3 * 4096] = b"\xff" * 4096
    return replace_member(content, name, member.offset_data, bytes(database))


@pytest.mark.parametrize("name", ["eventflow.db", "queue.db"])
def test_pages_are_checked_also_of_an_older_schema_and_beside_one(saved, tmp_path, name):
    _, file = saved
    content = file.read_bytes()
    other = {"eventflow.db": "queue.db", "queue.db": "eventflow.db"}[name]
    for damaged in (with_damaged_page(content, name),
                    with_damaged_page(with_database(content, other, "PRAGMA user_version = 1"),
                                      name)):
        (tmp_path / "b.tar").write_bytes(damaged)
        (tmp_path / "copy").mkdir(exist_ok=True)
        result = restore(tmp_path / "b.tar", tmp_path / "copy")
        assert result.returncode == 65 and "damaged database" in result.stderr, result
        assert names(tmp_path / "copy") == ["eventflow.lock"]


def test_the_books_of_an_older_schema_are_those_of_the_manifest(saved, tmp_path):
    _, file = saved
    content = with_database(file.read_bytes(), "queue.db", "PRAGMA user_version = 1")
    manifest = json.loads(content[512:7680])
    manifest.update(processed=39, manifest_sha256="0" * 64)
    (tmp_path / "b.tar").write_bytes(content[:512] + seal(manifest) + content[7680:])
    (tmp_path / "copy").mkdir()
    result = restore(tmp_path / "b.tar", tmp_path / "copy")
    assert result.returncode == 65 and "do not add up" in result.stderr, result
    assert names(tmp_path / "copy") == ["eventflow.lock"]


# ---- a folder of somebody else -----------------------------------------------------------------


@pytest.mark.parametrize("make", [os.symlink, os.link])
def test_a_lock_file_that_is_elsewhere_is_refused_and_not_touched(saved, tmp_path, make):
    """Root would give it to the folder's owner."""
    _, file = saved
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "data").mkdir()
    if os.geteuid() == 0:
        os.chown(tmp_path / "data", 65534, 65534)
    make(victim, tmp_path / "data/eventflow.lock")
    before = victim.stat()
    for command in (("restore", file), ("serve", "--listen", "127.0.0.1:0")):
        result = run(*command, "--data", tmp_path / "data")
        assert result.returncode == 78 and "eventflow.lock" in result.stderr, result
    assert victim.read_text() == "mine" and victim.stat().st_uid == before.st_uid
    assert names(tmp_path / "data") == ["eventflow.lock"]


def test_a_staging_folder_that_is_elsewhere_is_neither_emptied_nor_used(saved, tmp_path):
    _, file = saved
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "queue.db").write_text("another one")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/restoring").symlink_to(elsewhere)
    result = restore(file, tmp_path / "data")
    assert result.returncode == 74 and "restoring" in result.stderr, result
    assert names(elsewhere) == ["queue.db"]
    assert (elsewhere / "queue.db").read_text() == "another one"
    (tmp_path / "data/restoring").unlink()
    assert restore(file, tmp_path / "data").returncode == 0


@needs_root
def test_root_gives_what_it_restores_to_the_owner_of_the_folder(saved, tmp_path):
    _, file = saved
    (tmp_path / "data").mkdir()
    os.chown(tmp_path / "data", 65534, 65534)
    assert restore(file, tmp_path / "data").returncode == 0
    assert {entry.stat().st_uid for entry in (tmp_path / "data").iterdir()} == {65534}
