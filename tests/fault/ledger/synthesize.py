"""Makes a ledger and the databases that belong to it without sending anything, so that the judge
can be measured: python3 -m ledger.synthesize FOLDER OPS (in tests/fault; needs EF_BINARY).

The tables are those of a database that the program made; what only the program can compute (digest,
checksum) is left empty, since the ledger does not look at it.
"""
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from .campaigns import Campaigns, rules_over
from .generate import Generator
from .model import Model, leaves_of, read_json
from .record import ACKED, CONFLICT, DUPLICATE, INVALID, REJECTED, Counters, Writer
from .scan import microseconds

CHUNK = 5000
START_US = 1_780_000_000_000_000
RAW = "seq, received_at, event_id, correlation_id, body"
PROCESSED = ("seq, event_id, source, event_type, customer_id, correlation_id, at_us, "
             "received_at_us, processed_at_us, processing_us, worker_id, attempt, match_count, "
             "digest, checksum, duplicates")
FAILED = ("seq, event_id, source, event_type, customer_id, correlation_id, reason, error, "
          "attempts, body, received_at_us, first_failed_at_us, last_failed_at_us")
MATCHES = "campaign_id, seq, campaign_version, outcome, rewards, matched_at_us"
VERSIONS = "campaign_id, version, name, status, document, created_at_us, updated_at_us"


def insert(db, table, names, rows):
    """Columns that are none of the ledger's business get a 0 where they need a value."""
    names = names.split(", ")
    extra = [name for _, name, _, not_null, default, is_key in
             db.execute(f"PRAGMA table_info({table})")
             if not_null and default is None and not is_key and name not in names]
    values = ["?"] * len(names) + ["0"] * len(extra)
    db.executemany(f"INSERT INTO {table} ({', '.join(names + extra)}) "
                   f"VALUES ({', '.join(values)})", rows)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_tables(data, binary):
    """Lets the program make its files, and ends it."""
    port = free_port()
    process = subprocess.Popen([binary, "serve", "--listen", f"127.0.0.1:{port}",
                                "--metrics-listen", f"127.0.0.1:{free_port()}", "--data", data],
                               stderr=subprocess.DEVNULL)
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5).close()
            break
        except OSError:
            time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    if process.wait(60) != 0:
        raise RuntimeError(f"{binary} cannot make {data}")


class Tables:
    """Both databases, being filled."""

    def __init__(self, data, documents):
        self.queue = sqlite3.connect(f"{data}/queue.db", isolation_level=None)
        self.store = sqlite3.connect(f"{data}/eventflow.db", isolation_level=None)
        for db in (self.queue, self.store):
            db.executescript("PRAGMA synchronous = OFF; BEGIN")
        self.model = Model({(name, 1): document for name, document in documents.items()})
        insert(self.store, "campaign_versions", VERSIONS,
               [(name, 1, name, "active", json.dumps(document), START_US - 60_000_000,
                 START_US - 60_000_000) for name, document in documents.items()])
        insert(self.store, "campaign_heads", "campaign_id, version",
               [(name, 1) for name in documents])
        self.seq, self.at_us, self.heads = 0, START_US, {}
        self.raw, self.processed, self.failed, self.matches = [], [], [], []

    def add(self, event):
        """One message and its end."""
        self.seq, self.at_us = self.seq + 1, self.at_us + 20
        text = event.body.decode()
        self.raw.append((self.seq, self.at_us, event.event_id, "", text))
        if event.kind == DUPLICATE:
            self.heads[event.sha][15] += 1
        elif event.kind == CONFLICT:
            self.fail(event, read_json(text))
        else:
            self.process(event, read_json(text))

    def fail(self, event, parsed):
        self.failed.append((self.seq, event.event_id, event.source, parsed["event_type"],
                            parsed.get("customer_id", ""), "", "event_id_conflict", "made", 1,
                            event.body, self.at_us, self.at_us, self.at_us))

    def process(self, event, parsed):
        leaves, count = leaves_of(parsed), 0
        for (name, version), pattern in self.model.patterns.items():
            if pattern.matches(leaves):
                rewards = json.dumps(self.model.rewards[name, version], default=int)
                self.matches.append((name, self.seq, version, "granted", rewards, self.at_us))
                count += 1
        time = parsed.get("timestamp")
        row = [self.seq, event.event_id, event.source, parsed["event_type"],
               parsed.get("customer_id", ""), "", microseconds(time) if time else self.at_us,
               self.at_us, self.at_us, 10,
               "worker-1", 1, count, bytes(16), 0, 0]
        self.heads[event.sha] = row
        self.processed.append(row)

    def finish(self):
        """Rows of duplicates change to the end, so everything is written at last."""
        insert(self.queue, "raw_events", RAW, self.raw)
        insert(self.store, "processed", PROCESSED, self.processed)
        insert(self.store, "failed", FAILED, self.failed)
        insert(self.store, "matches", MATCHES, sorted(self.matches))
        duplicates = sum(row[15] for row in self.processed)
        counts = {"position": self.seq, "processed": len(self.processed),
                  "failed": len(self.failed), "duplicate": duplicates,
                  "matches": len(self.matches)}
        for name, value in counts.items():
            self.store.execute("UPDATE counters SET value = ? WHERE name = ?", (value, name))
        for db in (self.queue, self.store):
            db.execute("COMMIT")
            db.close()


def synthesize(folder, ops, binary, seed=1):
    """folder/ledger and folder/data, which agree."""
    folder = Path(folder)
    (folder / "ledger").mkdir(parents=True)
    make_tables(str(folder / "data"), binary)
    campaigns = Campaigns(folder / "ledger", seed)
    documents = {name: {"name": name, "rules": rules, "status": "active"}
                 for name, rules in rules_over(campaigns.random).items()}
    for number, (name, document) in enumerate(documents.items()):
        campaigns.append({"change": number, "id": name, "document": document})
        campaigns.append({"change": number, "status": 201, "version": 1,
                          "at_ns": START_US * 1000})
    Counters(folder / "ledger" / "run-0.counters", create=True)
    writer, generator = Writer(folder / "ledger", 0), Generator(seed, 0)
    tables, now_ns = Tables(folder / "data", documents), START_US * 1000
    for start in range(0, ops, CHUNK):
        events = [generator.next() for _ in range(min(CHUNK, ops - start))]
        now_ns += 100_000_000
        first = writer.sent(start % 8, events, True, now_ns)
        writer.answered(first, [REJECTED if e.kind == INVALID else ACKED for e in events], 202,
                        now_ns + 1_000_000)
        for event in events:
            if event.kind != INVALID:
                generator.note_acked(event)
                tables.add(event)
    tables.finish()


if __name__ == "__main__":
    synthesize(sys.argv[1], int(sys.argv[2]), os.environ["EF_BINARY"])
