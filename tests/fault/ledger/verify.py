"""verify: compares a ledger with the data of the program. Each invariant is a function that returns
what offends it, and a note for the reader when nothing does."""
import json
import shutil
import sqlite3
import threading
import time
import traceback
import urllib.error
import urllib.request
from pathlib import Path

from . import queries
from .evidence import Evidence
from .record import ACKED, REJECTED, UNKNOWN
from .verdict import Verdict
from .visible import look_up

QUIET_WITHIN = 30  # seconds until nothing waits any more


def verify(ledger_folder, data_folder, url=None, fault_log=None, artifacts=None, foreign=(),
           may_fail=None):
    """Judges data_folder by ledger_folder. url: the running server; without it what only a server
    can answer is left out, and messages that wait for the next start are no fault.
    fault_log: JSON lines {"from_ns", "until_ns", "what"}: when the store was provably down.
    artifacts: where everything is copied to when something fails.
    foreign: prefixes of event ids that others sent: stored although no ledger knows them.
    may_fail: {reason: how many good events may stand in failed_events for it, at most}."""
    verdict = Verdict()
    quiet = wait_until_quiet(url) if url else None
    healths = Health(data_folder)
    try:
        with Evidence(ledger_folder, data_folder, fault_log) as evidence:
            evidence.collect(healths.start)
            Judgement(evidence, verdict, url, quiet, foreign, may_fail).all()
    except Exception as error:  # bytes that were damaged read as anything: NULL for a number
        verdict.add("readable", [f"the data cannot be read: {spell(error)}"])
    verdict.add("health", healths.wait(), "both databases: integrity_check, foreign_key_check")
    if artifacts and not verdict.ok:
        keep(artifacts, ledger_folder, data_folder, fault_log, verdict)
    return verdict


def spell(error):
    """What, and where in the judge."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(at.filename).name}:{at.lineno}: {error}"


def fetch(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.loads(answer.read())


def wait_until_quiet(url):
    """The summary once nothing waits any more; {"error"} when that takes too long."""
    end = time.monotonic() + QUIET_WITHIN
    last = "no answer"
    while time.monotonic() < end:
        try:
            summary = fetch(url + "/metrics/summary")
            if summary["waiting"] == 0 and summary["queue_depth"] == 0:
                return summary
            last = f"{summary['waiting']} still waiting"
        except (OSError, ValueError) as error:
            last = str(error)
        time.sleep(0.02)
    return {"error": f"{last} after {QUIET_WITHIN} s"}


class Health:
    """Both files are checked by SQLite itself, meanwhile."""

    def __init__(self, data_folder):
        self.problems = []
        self.threads = [threading.Thread(target=self.check, args=(Path(data_folder) / name,))
                        for name in ("eventflow.db", "queue.db")]
        self.is_started = False

    def start(self):
        self.is_started = True
        for thread in self.threads:
            thread.start()

    def check(self, path):
        try:
            db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
            db.text_factory = lambda text: text.decode(errors="replace")
            for pragma in ("integrity_check", "foreign_key_check"):
                for row in db.execute(f"PRAGMA {pragma}"):
                    if row[0] != "ok":
                        self.problems.append(f"{path.name}: {' '.join(map(str, row))}")
            db.close()
        except sqlite3.DatabaseError as error:
            self.problems.append(f"{path.name}: {error}")

    def wait(self):
        if not self.is_started:
            self.start()
        for thread in self.threads:
            thread.join()
        return self.problems


def keep(artifacts, ledger_folder, data_folder, fault_log, verdict):
    """Copies what is needed to look into a failure; the ledger has the seed."""
    target = Path(artifacts)
    target.mkdir(parents=True, exist_ok=True)
    for name, source in (("ledger", ledger_folder), ("data", data_folder)):
        shutil.copytree(source, target / name, dirs_exist_ok=True)
    if fault_log is not None and Path(fault_log).exists():
        shutil.copy(fault_log, target / "fault_log.jsonl")
    (target / "verdict.txt").write_text(str(verdict) + "\n", encoding="utf-8")


class Judgement:
    """The invariants over one body of evidence."""

    def __init__(self, evidence, verdict, url, quiet, foreign, may_fail):
        self.evidence, self.verdict, self.url, self.quiet = evidence, verdict, url, quiet
        self.foreign, self.may_fail = tuple(foreign), may_fail or {}
        self.summary = quiet if quiet and "error" not in quiet else None
        self.counters = dict(evidence.query("SELECT name, value FROM data.counters"))
        evidence.db.executescript(queries.PREPARE)

    def all(self):
        for name in ("no loss", "no invention", "integrity", "terminal", "once", "matches",
                     "books"):
            self.verdict.add(name, *getattr(self, name.replace(" ", "_"))())
        if self.url:
            self.verdict.add("visible", *look_up(self.url, self.evidence))
        else:
            self.verdict.leave_out("visible", "no server to ask")
        if self.evidence.windows:
            self.verdict.add("no lie", self.evidence.lies,
                             f"{len(self.evidence.windows)} windows")
        else:
            self.verdict.leave_out("no lie", "no window in which the store was down")

    def texts(self, *queries_of_one):
        return [row[0] for sql in queries_of_one for row in self.evidence.query(sql)]

    def wrong(self, invariant):
        """What the scan found; of a body that nobody sent nothing further is said."""
        return [row[0] for row in self.evidence.query("""
            SELECT text FROM wrong WHERE invariant = ? AND seq NOT IN (SELECT seq FROM strange)
            ORDER BY seq""", invariant)]

    def no_loss(self):
        """Acknowledged is stored, as often as it was acknowledged. A body that was changed on the
        way is there: that is a matter of integrity."""
        lost = self.texts(queries.LOST)
        return lost, f"{self.evidence.totals[ACKED]} acknowledged"

    def no_invention(self):
        """Stored is acknowledged or unknown, never rejected; and nothing invalid is accepted."""
        found = [text for text in self.texts(queries.INVENTED, queries.INVALID_ACKED)
                 if not text.startswith(self.foreign)]
        totals = self.evidence.totals
        return found, f"{totals[UNKNOWN]} unknown, {totals[REJECTED]} rejected"

    def integrity(self):
        """The bytes as first sent, in the log and in the failures; rows that say what they say."""
        found = self.texts(queries.CHANGED, queries.NOT_FIRST, queries.SWAPPED,
                           queries.FAILED_BODY, queries.FAILED_ROW) + self.wrong("integrity")
        sent = self.evidence.one("SELECT count(*) FROM scratch.bodies")
        if sent != self.evidence.bodies:
            found.append(f"{self.evidence.bodies} bodies were sent, {sent} by their first 64 bits: "
                         "another seed is needed")
        return found, f"{self.evidence.one(queries.COUNT_STORED)} bodies"

    def terminal(self):
        """Each message has exactly one end."""
        found = []
        if self.quiet and "error" in self.quiet:
            found.append(self.quiet["error"])
        waiting = self.evidence.one("SELECT count(*) FROM endless WHERE is_waiting")
        note = f"{self.counters['processed']} processed, {self.counters['failed']} failed, " \
               f"{self.counters['duplicate']} duplicates"
        if waiting and self.url is None:
            note += f"; {waiting} wait for the next start"
        elif waiting:
            found += self.texts(queries.STILL_WAITING)
        found += self.failed_wrongly()
        return found + self.texts(queries.TWO_ENDS, queries.NO_MESSAGE, queries.NO_END,
                                  queries.MISCOUNTED, queries.CONFLICT_OF_NOTHING), note

    def once(self):
        return self.texts(queries.TWICE), ""

    def failed_wrongly(self):
        """Good events whose end is a failure. After one that may fail, another body may win."""
        left, excused, found = dict(self.may_fail), set(), []
        for event_id, source, reason, seq in self.evidence.query(queries.FAILED_WRONGLY):
            if left.get(reason, 0) > 0:
                left[reason] -= 1
                excused.add((event_id, source))
            elif reason != "event_id_conflict" or (event_id, source) not in excused:
                found.append(f"{event_id}: failed as {reason}, message {seq}")
        return found

    def matches(self):
        """Equal to the model, both ways, by the version in the row."""
        found = self.evidence.campaign_problems + self.wrong("matches")
        found += self.texts(queries.MATCH_OF_NOTHING, queries.OUT_OF_ORDER)
        note = f"{self.counters['matches']} matches"
        unjudged = sorted(self.evidence.unjudged)
        found += [f"{name}: not judged, {self.evidence.unjudged[name]}" for name in unjudged
                  if name.split(" version ")[0] in self.evidence.ours]
        if unjudged:
            note += "; not judged: " + ", ".join(unjudged)
        return found, note

    def books(self):
        """The counters are the sums of the rows, and the API says the same."""
        found = []
        for name, sql in queries.BOOKS.items():
            value = self.evidence.one(sql)
            if self.counters.get(name) != value:
                found.append(f"{name}: the counter says {self.counters.get(name)}, "
                             f"the rows say {value}")
            if self.summary and self.summary[name] != value:
                found.append(f"{name}: the summary says {self.summary[name]}, the rows say {value}")
        found += self.sums() + self.wrong("books")
        return found, "" if self.url else "counters and rows; no server to ask for its summary"

    def sums(self):
        """received = processed + failed + duplicate + waiting."""
        found, c = [], self.counters
        received = self.evidence.one("SELECT coalesce(max(seq), 0) FROM queue.raw_events")
        retries = self.evidence.one("SELECT count(*) FROM data.retries")
        if c["processed"] + c["failed"] + c["duplicate"] + retries != c["position"]:
            found.append(f"position: {c['position']}, but processed + failed + duplicate + retries "
                         f"= {c['processed'] + c['failed'] + c['duplicate'] + retries}")
        if c["position"] > received:
            found.append(f"position: {c['position']} is beyond the last message, {received}")
        if self.summary and self.summary["received"] != received:
            found.append(f"received: the summary says {self.summary['received']}, "
                         f"the rows say {received}")
        return found
