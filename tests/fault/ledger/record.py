"""The ledger's files: what was sent and what was answered, in records of fixed size.

    run-<k>.sent      one SENT record for each event, appended before the request goes out
    run-<k>.answers   one ANSWER record for each event, appended when its fate is known
    run-<k>.counters  live counters (see Counters), shared with the process that started the load
    campaigns.jsonl   one line before each change of a campaign, one at its answer

An event that has no ANSWER record is unknown. Several runs may share a folder.
"""
import mmap
import os
import struct
from pathlib import Path

# op, t_send (wall clock, ns), client, kind, is_batch, sha256 of the body, event id, source
SENT = struct.Struct("<QqIBB2x32s48s16s")
# The same, with the first bits (below) of the sha256.
SENT_DIGEST = struct.Struct("<QqIBB2xq24x48s16s")
# Only the sha256 of the body.
SENT_SHA = struct.Struct("<24x32s64x")
# op, t_answer (wall clock, ns), status (0: none came), outcome
ANSWER = struct.Struct("<QqHB5x")

KINDS = ("new", "duplicate", "conflict", "invalid")
NEW, DUPLICATE, CONFLICT, INVALID = range(4)
OUTCOMES = ("acked", "rejected", "unknown")
ACKED, REJECTED, UNKNOWN = range(3)

# Of a sha256, what the judge finds bodies by: the first 64 bits, as SQLite's integers are. Whether
# two bodies are the same is told by all bits.
FIRST_BYTES = struct.Struct("<q24x")

RUN_SHIFT = 40  # an op number is run << 40 | number in the run


def sent_shas(folder):
    """The whole SHA-256 of every body that was sent, each once: what bodies are compared by."""
    return {sha for sha, in records(folder, "sent", SENT_SHA)}


class Counters:
    """Numbers in a file that two processes map: one writes, the other reads."""

    NAMES = ("sent", *OUTCOMES, *KINDS, "requests", "reconnects", "unavailable", "valid_rejected",
             "invalid_accepted", "stop", "ready")

    def __init__(self, path, create=False):
        size = 8 * len(self.NAMES)
        if create:
            Path(path).write_bytes(bytes(size))
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), size)
        self._cells = memoryview(self._map).cast("Q")
        self._index = {name: i for i, name in enumerate(self.NAMES)}

    def add(self, name, count=1):
        self._cells[self._index[name]] += count

    def get(self, name):
        return self._cells[self._index[name]]

    def all(self):
        return {name: self._cells[i] for name, i in self._index.items()
                if name not in ("stop", "ready")}


class Writer:
    """Appends the records of one run."""

    def __init__(self, folder, run):
        self._op = run << RUN_SHIFT
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND
        self._sent = os.open(Path(folder) / f"run-{run}.sent", flags, 0o644)
        self._answers = os.open(Path(folder) / f"run-{run}.answers", flags, 0o644)

    def sent(self, client, events, is_batch, now_ns):
        """One record an event, before the request. Returns the first op; the others follow it."""
        first = self._op
        self._op += len(events)
        write_all(self._sent, b"".join(
            SENT.pack(first + i, now_ns, client, e.kind, is_batch, e.sha, e.id_bytes,
                      e.source_bytes)
            for i, e in enumerate(events)))
        return first

    def answered(self, first, outcomes, status, now_ns):
        """One record an event; outcomes in the order of the events that were sent."""
        write_all(self._answers, b"".join(
            ANSWER.pack(first + i, now_ns, status, outcome)
            for i, outcome in enumerate(outcomes)))


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data):]


def records(folder, suffix, layout):
    """All whole records of all runs; a torn one at the end of a file is left out."""
    for path in sorted(Path(folder).glob(f"run-*.{suffix}")):
        data = path.read_bytes()
        yield from layout.iter_unpack(data[:len(data) // layout.size * layout.size])


def next_run(folder):
    """The number of a run that has no files yet."""
    run = 0
    while (Path(folder) / f"run-{run}.counters").exists():
        run += 1
    return run
