"""One pass over a range of the stored messages, in a process of its own when there are many.

For each message: the digest of its body, and whether that was sent; for each processed one: whether
its row says what message and body say, and whether its matches are those of the model. Writes two
tables into a file of its own:

    stored  seq, event_id, sha, replay_of        one row a message (sha: FIRST_BYTES)
    wrong   seq, invariant, text                 what does not agree
"""
import gc
import hashlib
import json
import sqlite3
import sys
from datetime import datetime, timedelta, timezone

from .model import Model, leaves_of, read_json
from .record import FIRST_BYTES, sent_shas
from .shape import Shapes, read_spelled
from .timeline import Timeline

CHUNK = 5000
PLANS = 16         # of the latest versions in force
LIMIT = 1_000_000  # remembered judgements of one plan
EVENTS = """
    SELECT r.seq, CAST(r.body AS BLOB), p.event_id, p.source, p.event_type, p.customer_id,
           p.match_count, p.attempt, p.processed_at_us, p.processing_us, r.event_id, r.replay_of,
           r.received_at IS p.received_at_us AND r.correlation_id IS p.correlation_id, p.at_us,
           r.received_at
    FROM queue.raw_events AS r LEFT JOIN main.processed AS p ON p.seq = r.seq
    WHERE r.seq BETWEEN ? AND ? ORDER BY r.seq"""
MATCHES = """
    SELECT seq, campaign_id, campaign_version, outcome, rewards FROM matches
    WHERE seq BETWEEN ? AND ? ORDER BY seq"""


EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def microseconds(text):
    """Since 1970, of RFC 3339."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


class Times(dict):
    """{text: microseconds}, filled when asked."""

    def __missing__(self, text):
        if len(self) >= LIMIT:
            self.clear()
        self[text] = value = microseconds(text)
        return value


def open_data(folder):
    """Both databases, read-only; eventflow.db is main, queue.db is attached as queue."""
    db = sqlite3.connect(f"file:{folder}/eventflow.db?mode=ro", uri=True, timeout=30)
    db.execute("ATTACH ? AS queue", (f"file:{folder}/queue.db?mode=ro",))
    return db


class Judge:
    """Compares the rows of one processed event with the model."""

    def __init__(self, documents, timeline, report):
        self.model, self.timeline, self.write = Model(documents), timeline, report
        self.good_rewards = set()
        self.plans, self.findings, self.times = {}, 0, Times()

    def report(self, *finding):
        self.findings += 1
        self.write(*finding)

    def event(self, row, rows):
        """rows: its matches. What was found good once is good again: the same campaigns, what
        fits of them, and rows. All else is judged in full."""
        (seq, body, event_id, source, event_type, customer, match_count, attempt, done_us, took_us,
         named, _, is_message, at_us, received_us) = row
        event = self.read(seq, body, event_id)
        if event is None:
            return
        get = event.get
        time = get("timestamp")
        is_same = (get("event_id") == event_id == named and get("source", "") == source and
                   get("event_type") == event_type and get("customer_id", "") == customer and
                   is_message and at_us == (self.times[time] if time else received_us))
        candidates = self.timeline.candidates(seq, attempt, done_us - took_us, done_us)
        shapes, good = self.plans.get(id(candidates)) or self.plan(candidates)
        key = (shapes.fits(event), match_count, rows)
        if is_same and key in good:
            return
        if self.in_full(row, rows, is_same, candidates) and len(good) < LIMIT:
            good.add(key)

    def message(self, row):
        """One that was not processed: its row, too, says what its body says."""
        seq, body, named = row[0], row[1], row[10]
        event = self.read(seq, body, named)
        if event is not None and event.get("event_id") != named:
            self.report(seq, "integrity", f"{event.get('event_id')}: message {seq} says that it is "
                                          f"of {named}")

    def read(self, seq, body, event_id):
        """The event; None when it is none."""
        try:
            return read_spelled(body.decode())
        except ValueError:
            self.report(seq, "integrity", f"{event_id}: the stored body is no JSON")
            return None

    def plan(self, candidates):
        """What to remember for these candidates; the timeline keeps them, so their id stays."""
        if len(self.plans) >= PLANS:
            self.plans.clear()
        patterns = [self.model.patterns.get((campaign, version))
                    for campaign, versions in candidates for version in versions]
        made = self.plans[id(candidates)] = (Shapes(p for p in patterns if p is not None), set())
        return made

    def in_full(self, row, rows, is_same, candidates):
        """Whether nothing was found wrong."""
        (seq, body, event_id, _, event_type, _, match_count, *_) = row
        before, found = self.findings, {campaign: tuple(rest) for campaign, *rest in rows}
        if not is_same:
            named = json.loads(body).get("event_id", event_id)
            self.report(seq, "integrity", f"{named}: the processed row says other than message "
                                          "and body")
        if match_count != len(found):
            self.report(seq, "books", f"{event_id}: match_count is {match_count}, "
                                      f"there are {len(found)} matches")
        self.matches(seq, event_id, event_type, leaves_of(read_json(body.decode())), found,
                     candidates)
        return self.findings == before

    def matches(self, seq, event_id, event_type, leaves, found, candidates):
        """The common case first: one version, and the row is as the model says."""
        patterns, seen = self.model.patterns, 0
        for campaign, versions in candidates:
            row = found.get(campaign)
            seen += row is not None
            if len(versions) == 1:
                pattern = patterns.get((campaign, versions[0]))
                fits = (pattern is not None and
                        (pattern.types is None or event_type in pattern.types) and
                        pattern.matches(leaves))
                if row is None and not fits:
                    continue
                if fits and row is not None and (campaign, *row) in self.good_rewards \
                        and row[0] == versions[0]:
                    continue
            self.campaign(seq, event_id, leaves, campaign, versions, row)
        if seen < len(found):
            for campaign in set(found) - {name for name, _ in candidates}:
                self.report(seq, "matches", f"{event_id}: a match of {campaign}, which nobody made")

    def campaign(self, seq, event_id, leaves, campaign, versions, row):
        """All cases: some versions may have decided, or none."""
        if any((campaign, v) in self.model.unsupported for v in versions):
            return
        if row is None:
            if versions and all(v is not None and self.fits(leaves, campaign, v) for v in versions):
                self.report(seq, "matches", f"{event_id}: no match of {campaign} "
                                            f"{spell(versions)}, which it fits")
        elif row[0] not in versions:
            self.report(seq, "matches", f"{event_id}: {campaign} version {row[0]} was not "
                                        f"in force, {spell(versions)} was")
        elif not self.fits(leaves, campaign, row[0]):
            self.report(seq, "matches", f"{event_id}: a match of {campaign} version "
                                        f"{row[0]}, which it does not fit")
        elif (campaign, *row) not in self.good_rewards:
            self.rewards(seq, event_id, campaign, *row)

    def fits(self, leaves, campaign, version):
        pattern = self.model.patterns[campaign, version]
        return pattern is not None and pattern.matches(leaves)

    def rewards(self, seq, event_id, campaign, version, outcome, rewards):
        if outcome == "granted" and read_json(rewards) == self.model.rewards[campaign, version]:
            self.good_rewards.add((campaign, version, outcome, rewards))
        else:
            self.report(seq, "matches", f"{event_id}: {campaign} version {version} has outcome "
                                        f"{outcome} and rewards {rewards}")


def spell(versions):
    return "version " + (" or ".join("none" if v is None else str(v) for v in versions) or "none")


def chunks(db, span):
    """(rows of EVENTS, {seq: its matches}), some thousand messages at a time."""
    events = db.execute(EVENTS, span)
    while rows := events.fetchmany(CHUNK):
        found = {}
        for match in db.execute(MATCHES, (rows[0][0], rows[-1][0])):
            seq = match[0]
            if seq in found:
                found[seq] += (match[1:],)
            else:
                found[seq] = (match[1:],)
        yield rows, found


def open_out(path):
    out = sqlite3.connect(path, isolation_level=None)
    out.executescript("""
        PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
        CREATE TABLE stored (seq INTEGER PRIMARY KEY, event_id TEXT, sha INTEGER,
                             replay_of INTEGER);
        CREATE TABLE wrong (seq INTEGER, invariant TEXT, text TEXT);
        BEGIN""")
    return out


def make_judge(task, out):
    def report(seq, invariant, text):
        out.execute("INSERT INTO wrong VALUES (?, ?, ?)", (seq, invariant, text))

    timeline = Timeline(task["versions"], task["anchors"], task["is_clock_sane"], task["first_us"])
    return Judge({(i, v): text for i, v, text in task["documents"]}, timeline, report)


def digests(rows, sent, report, sha256=hashlib.sha256, unpack=FIRST_BYTES.unpack):
    """The rows of stored; reports those whose bytes nobody sent, by all bits of the SHA-256."""
    shas = [sha256(row[1]).digest() for row in rows]
    if not sent.issuperset(shas):
        for row, sha in zip(rows, shas):
            if sha not in sent:
                report(row[0], "integrity", f"{row[10]}: message {row[0]} has bytes that nobody "
                                            "sent")
    return [(row[0], row[10], unpack(sha)[0], row[11]) for row, sha in zip(rows, shas)]


def scan(task):
    """task: ledger, data (folders), low, high (seqs), out (file), documents [[id, version, text]],
    versions, anchors, is_clock_sane, first_us (see Timeline). Returns {"unjudged": which campaign
    versions the model cannot judge, and why, "bodies": how many different ones were sent}."""
    db, out = open_data(task["data"]), open_out(task["out"])
    sent = sent_shas(task["ledger"])
    judge, span = make_judge(task, out), (task["low"], task["high"])
    for rows, found in chunks(db, span):
        out.executemany("INSERT INTO stored VALUES (?, ?, ?, ?)", digests(rows, sent, judge.write))
        for row in rows:
            if row[2] is not None:
                judge.event(row, found.get(row[0], ()))
            else:
                judge.message(row)
    out.execute("COMMIT")
    out.close()
    db.close()
    unjudged = {f"{i} version {v}": why for (i, v), why in judge.model.unsupported.items()}
    return {"unjudged": unjudged, "bodies": len(sent)}


def main():
    """A task on standard input; the answer goes to standard output."""
    gc.disable()  # nothing here refers to itself
    print(json.dumps(scan(json.load(sys.stdin))))
