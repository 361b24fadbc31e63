"""One bit that is wrong anywhere in a row: `eventflow doctor --full` finds it, says in which file,
and ends with exit code 65. Nothing is reported about data that is well."""
import random
import shutil

import pytest

from rig import CAMPAIGN, FaultServer, in_parallel, rounds, start_seed
from server import run
from sqlite_file import SqliteFile

EXIT_DATA = 65
PLACES = rounds(2, 20)  # of each column
LARGE = 512          # bytes: of a larger value each part is damaged, in whatever page it is
TEXTS = {"long": 3000, "longer": 20000}  # bytes: within one page, and beyond
PARTS_LEAST = 6
# For people only, the program never reads them; their loss changes no answer.
FREE = {"meta": {"name", "value"}, "migrations": {"name", "applied_at_us"}}


def fill(server):
    """Every table gets rows that have something in every column: matches, duplicates, failures, one
    of them replayed, campaigns with versions, one of them deleted."""
    for number in range(3):
        campaign = {**CAMPAIGN, "id": f"campaign-{number}"}
        assert server.post("/campaigns", campaign).status == 201
    assert server.request("PATCH", "/campaigns/campaign-1", {"name": "another name"},
                          content_type="application/merge-patch+json").status == 200
    assert server.request("DELETE", "/campaigns/campaign-2").status in (200, 204)
    events = [{"event_id": f"event-{n}", "event_type": "purchase", "source": "web",
               "customer_id": f"customer-{n}", "timestamp": f"2026-01-02T03:04:05.{n:06}Z",
               "correlation_id": f"correlation-{n}", "payload": {"amount": n}} for n in range(200)]
    server.send(*events)
    server.send(*events[:20])
    server.send(*({**e, "payload": {"other": 1}} for e in events[:20]))
    for name, size in TEXTS.items():
        for letter in "ab":  # the second one fails as a conflict
            server.send({"event_id": name, "event_type": "purchase",
                         "payload": {"text": letter * size}})
    server.post("/events", events[0] | {"event_id": "traced"},
                headers={"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
    server.wait_idle()
    assert server.post("/failed-events/1/replay", None).status in (200, 202)
    server.wait_idle()


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    server = FaultServer(tmp_path_factory.mktemp("clean") / "data").start()
    fill(server)
    assert server.stop() == 0
    return server.folder


def examine(folder):
    return run("doctor", "--full", "--data", folder)


def test_nothing_is_said_about_clean_files(clean):
    result = examine(clean)
    assert result.returncode == 0 and "PROBLEM" not in result.stdout, result.stdout


def places_of(path, rng):
    """Some places in each column of each table, and one in each part of what is large: (table,
    column, offset)."""
    file = SqliteFile(path)
    for table in file.tables:
        small, large = {}, {}
        for cell in file.cells(table):
            for column, parts in cell.items():
                is_large = sum(size for _, size in parts) > LARGE
                (large if is_large else small).setdefault(column, []).extend(parts)
        for column in sorted(small.keys() | large.keys()):
            chosen, parts = large.get(column, []), small.get(column, [])
            for first, size in chosen + rng.sample(parts, min(PLACES, len(parts))):
                yield table, column, first + rng.randrange(size)


@pytest.mark.parametrize("name", ["queue.db", "eventflow.db"])
def test_a_flipped_bit_in_any_row_is_found(clean, tmp_path, name):
    rng = random.Random(start_seed(303))
    seen, unseen = set(), set()

    def flip(place):
        table, column, offset = place
        folder = tmp_path / f"{table}-{column}-{offset}"
        shutil.copytree(clean, folder)
        with open(folder / name, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 1 << offset % 8]))
        result = examine(folder)
        seen.add((table, column))
        if result.returncode != EXIT_DATA or name not in result.stdout:
            unseen.add(f"{table}.{column}: byte {offset}, exit code {result.returncode}")
        shutil.rmtree(folder)
    places = [p for p in places_of(clean / name, rng) if p[1] not in FREE.get(p[0], ())]
    bodies = [p for p in places if p[1] == "body"]
    assert len(bodies) >= PLACES + PARTS_LEAST, f"no large rows: {bodies}"
    in_parallel(flip, places)
    assert len(seen) >= {"queue.db": 7, "eventflow.db": 40}[name], sorted(seen)
    assert not unseen, "not found: " + "; ".join(sorted(unseen))
