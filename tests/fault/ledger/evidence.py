"""What the judge works on: ledger and data side by side in one scratch database.

    ops     one row a record of the ledger        bodies  one row a digest that was sent: how often
    stored  one row a message in queue.db         copies  one row a digest that is stored: how often
    wrong   what the scan found (scan.py)         data.*, queue.*: the program's tables, read-only
"""
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from array import array
from operator import sub
from pathlib import Path

from . import queries
from .campaigns import known_versions
from .model import read_json
from .record import ACKED, ANSWER, RUN_SHIFT, SENT_DIGEST, UNKNOWN, records
from .scan import scan
from .timeline import ANCHORS, sure_since

SMALL = 20000  # messages: up to so many are scanned in this process
PROCESSES = 2
GRACE_NS = 50_000_000  # answers that were on their way when the store went down

SCHEMA = """
    PRAGMA scratch.journal_mode = OFF; PRAGMA scratch.synchronous = OFF;
    PRAGMA scratch.cache_size = -200000; PRAGMA temp_store = FILE;
    CREATE TABLE scratch.ops (
        event_id TEXT, source TEXT, sha INTEGER, kind INTEGER, outcome INTEGER);
"""
BODIES = """
    CREATE TABLE scratch.bodies (
        sha INTEGER PRIMARY KEY, event_id TEXT, source TEXT, kind INTEGER,
        acked INTEGER, unknown INTEGER, rejected INTEGER);
    INSERT INTO scratch.bodies
    SELECT sha, event_id, source, min(CASE kind WHEN 1 THEN 0 ELSE kind END), sum(outcome = 0),
           sum(outcome = 2), sum(outcome = 1)
    FROM scratch.ops GROUP BY sha ORDER BY sha;
"""
COPIES = """
    CREATE TABLE scratch.copies (sha INTEGER PRIMARY KEY, event_id TEXT, n INTEGER,
                                 first INTEGER);
    INSERT INTO scratch.copies
    SELECT sha, event_id, count(*), min(seq) FROM stored WHERE replay_of IS NULL
    GROUP BY sha ORDER BY sha;
"""


class Evidence:
    """Everything about one ledger and one data folder. Use with `with`."""

    def __init__(self, ledger, data, fault_log=None):
        self.ledger, self.data = Path(ledger), Path(data)
        self.folder = tempfile.mkdtemp(prefix="ledger-")
        self.windows = read_windows(fault_log)
        self.lies = []         # event ids that were acknowledged inside a window
        self.unjudged = {}     # campaign versions beyond the model
        self.ours = set()      # campaigns that the ledger made
        self.bodies = 0        # different bodies that were sent, by the whole SHA-256
        self.campaign_problems = []
        self.aside, self.answers = None, {}
        self.scans = []        # the processes of a large scan
        self.totals = [0, 0, 0]  # ops by outcome
        self.db = sqlite3.connect("", uri=True, isolation_level=None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.aside is not None:
            self.aside.join()
        for process in self.scans:
            process.kill()
            process.wait()
        self.db.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def query(self, sql, *args):
        if self.aside is not None and sql in queries.OF_DATA_ALONE:
            self.aside.join()
            if sql in self.answers:
                return iter(self.answers[sql])
        return self.db.execute(sql, args)

    def one(self, sql, *args):
        return next(self.query(sql, *args))[0]

    def attach_data(self, db):
        db.execute("ATTACH ? AS data", (f"file:{self.data}/eventflow.db?mode=ro",))
        db.execute("ATTACH ? AS queue", (f"file:{self.data}/queue.db?mode=ro",))

    def collect(self, when_scanned=lambda: None):
        """Fills the scratch database. when_scanned: called when one processor gets idle."""
        self.db.execute("ATTACH ? AS scratch", (f"file:{self.folder}/scratch.db",))
        self.attach_data(self.db)
        self.db.executescript(SCHEMA)
        finish_scan = self.begin_scan()
        self.load_ops()
        self.db.executescript(BODIES)
        finish_scan()
        self.aside = threading.Thread(target=self.ask_aside)
        self.aside.start()
        when_scanned()
        self.db.executescript(COPIES)

    def ask_aside(self):
        """Answers what can be asked meanwhile; what fails is asked again, and fails, in query."""
        db = sqlite3.connect("", uri=True, isolation_level=None)
        try:
            self.attach_data(db)
            for sql in queries.OF_DATA_ALONE:
                self.answers[sql] = db.execute(sql).fetchall()
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            pass
        db.close()

    # ---- the ledger ------------------------------------------------------------------------------

    def load_ops(self):
        outcomes, times = self.load_answers()
        self.db.execute("BEGIN")
        self.db.executemany("INSERT INTO scratch.ops VALUES (?, ?, ?, ?, ?)",
                            self.ops(outcomes, times))
        self.db.execute("COMMIT")

    def load_answers(self):
        """{run: outcome of each op}, {run: time of its answer}; what has none is unknown."""
        outcomes, times = {}, {}
        for op, t_answer, _, outcome in records(self.ledger, "answers", ANSWER):
            run, number = op >> RUN_SHIFT, op & ((1 << RUN_SHIFT) - 1)
            here = outcomes.setdefault(run, bytearray())
            if number >= len(here):
                here.extend(bytes([UNKNOWN]) * (number + 100000 - len(here)))
            here[number] = outcome
            if self.windows:
                at = times.setdefault(run, array("q"))
                if number >= len(at):
                    at.extend([0] * (number + 100000 - len(at)))
                at[number] = t_answer
        return outcomes, times

    def ops(self, outcomes, times):
        mask = (1 << RUN_SHIFT) - 1
        for op, t_send, _, kind, _, sha, event_id, source in records(self.ledger, "sent",
                                                                     SENT_DIGEST):
            number = op & mask
            here = outcomes.get(op >> RUN_SHIFT, b"")
            outcome = here[number] if number < len(here) else UNKNOWN
            self.totals[outcome] += 1
            event_id = event_id.rstrip(b"\0").decode()
            if outcome == ACKED and self.windows:
                self.look_for_lie(event_id, t_send, times[op >> RUN_SHIFT][number])
            yield event_id, source.rstrip(b"\0").decode(), sha, kind, outcome

    def look_for_lie(self, event_id, t_send, t_answer):
        for from_ns, until_ns, what in self.windows:
            if t_send >= from_ns + GRACE_NS and t_answer <= until_ns:
                self.lies.append(f"{event_id}: acknowledged during {what}")

    # ---- the data --------------------------------------------------------------------------------

    def begin_scan(self):
        """Starts to read all messages; returns the function that waits for the end of it."""
        low, high = self.query("SELECT min(seq), max(seq) FROM queue.raw_events").fetchone()
        tasks = self.tasks(low or 0, high or 0)
        if len(tasks) == 1:
            self.note_scan(scan(tasks[0]))
            return lambda: self.join_scans(tasks)
        self.scans += [start_scan(task) for task in tasks]
        return lambda: self.finish_scans(tasks)

    def tasks(self, low, high):
        documents, versions = self.campaign_versions()
        anchors = self.query(ANCHORS).fetchall()
        count = PROCESSES if high - low >= SMALL else 1
        size = (high - low) // count + 1
        times = array("q", (at_us for at_us, in self.query(
            "SELECT processed_at_us FROM data.processed ORDER BY seq")))
        jump = max(map(sub, times, times[1:]), default=0)
        first = min(times, default=0)
        return [{"ledger": str(self.ledger), "data": str(self.data), "low": low + i * size,
                 "high": low + (i + 1) * size - 1, "out": f"{self.folder}/scan-{i}.db",
                 "documents": documents, "versions": versions, "anchors": anchors,
                 "is_clock_sane": jump < 1_000_000, "first_us": first} for i in range(count)]

    def note_scan(self, answer):
        self.unjudged.update(answer["unjudged"])
        self.bodies = answer["bodies"]

    def finish_scans(self, tasks):
        for process in self.scans:
            text = process.stdout.read()
            if process.wait() != 0:
                raise RuntimeError("the scan of the data failed, as it says on standard error")
            self.note_scan(json.loads(text))
        self.join_scans(tasks)

    def join_scans(self, tasks):
        names = []
        for i, task in enumerate(tasks):
            self.db.execute(f"ATTACH ? AS scan{i}", (f"file:{task['out']}?mode=ro",))
            names.append(f"scan{i}")
        for table in ("stored", "wrong"):
            union = " UNION ALL ".join(f"SELECT * FROM {name}.{table}" for name in names)
            self.db.execute(f"CREATE TEMP VIEW {table} AS {union}")

    def campaign_versions(self):
        """The documents to judge by: the ledger's own, the stored ones of foreign campaigns. Notes
        where both do not agree."""
        known, unknown = known_versions(self.ledger)
        self.ours = {campaign for campaign, _ in known} | {campaign for campaign, _ in unknown}
        rows = self.query("""
            SELECT campaign_id, version, document, updated_at_us, campaign_id IN
                (SELECT campaign_id FROM data.campaign_heads WHERE deleted_at_us IS NOT NULL)
            FROM data.campaign_versions ORDER BY campaign_id, version""").fetchall()
        documents, versions = [], []
        for campaign, version, text, from_us, is_deleted in rows:
            sent, at_us = known.pop((campaign, version), (None, 0))
            if sent is not None:
                candidates = [sent]
            elif campaign in self.ours:
                candidates = [d for c, d in unknown if c == campaign]
            else:
                candidates = [json.loads(text)]
            if not any(same_document(text, d) for d in candidates):
                self.campaign_problems.append(
                    f"{campaign} version {version}: the stored document is not the one sent")
            documents.append([campaign, version, json.dumps(sent) if sent is not None else text])
            versions.append([campaign, version, from_us, sure_since(from_us, at_us), is_deleted])
        for campaign, version in known:
            self.campaign_problems.append(f"{campaign} version {version}: acknowledged and lost")
        return documents, versions


def same_document(text, document):
    stored, sent = read_json(text), read_json(json.dumps(document))
    return all(stored.get(name, default) == sent.get(name, default)
               for name, default in (("rules", None), ("status", "active"), ("then", [])))


def start_scan(task):
    command = [sys.executable, "-c", "from ledger.scan import main; main()"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True,
                               cwd=Path(__file__).resolve().parent.parent)
    process.stdin.write(json.dumps(task))
    process.stdin.close()
    return process


def read_windows(fault_log):
    """[(from_ns, until_ns, what)] of a fault log."""
    if fault_log is None or not Path(fault_log).exists():
        return []
    lines = Path(fault_log).read_text(encoding="utf-8").splitlines()
    windows = [json.loads(line) for line in lines if line.strip()]
    return [(w["from_ns"], w["until_ns"], w.get("what", "a fault")) for w in windows]
