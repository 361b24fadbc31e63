"""One pass over a range of the stored messages, in a process of its own when there are many.

For each message: the digest of its body; for each processed one: whether its row says what its body
says, and whether its matches are those of the model. Writes two tables into a file of its own:

    stored  seq, event_id, sha, replay_of        one row a message
    wrong   seq, invariant, text                 what does not agree
"""
import hashlib
import json
import sqlite3
import sys

from .model import Model, leaves_of, read_json
from .timeline import Timeline

CHUNK = 10000
EVENTS = """
    SELECT r.seq, r.event_id, CAST(r.body AS BLOB), r.replay_of, p.event_id, p.source, p.event_type,
           p.customer_id, p.match_count, p.attempt, p.processed_at_us,
           p.processing_us
    FROM queue.raw_events AS r LEFT JOIN main.processed AS p ON p.seq = r.seq
    WHERE r.seq BETWEEN ? AND ? ORDER BY r.seq"""
MATCHES = """
    SELECT seq, campaign_id, campaign_version, outcome, rewards FROM matches
    WHERE seq BETWEEN ? AND ? ORDER BY seq"""


def open_data(folder):
    """Both databases, read-only; eventflow.db is main, queue.db is attached as queue."""
    db = sqlite3.connect(f"file:{folder}/eventflow.db?mode=ro", uri=True, timeout=30)
    db.execute("ATTACH ? AS queue", (f"file:{folder}/queue.db?mode=ro",))
    return db


class Judge:
    """Compares the rows of one processed event with the model."""

    def __init__(self, documents, timeline, report):
        self.model, self.timeline, self.report = Model(documents), timeline, report
        self.good_rewards = set()

    def event(self, row, matches):
        (seq, _, body, _, event_id, source, event_type, customer, match_count, attempt, at_us,
         took_us) = row
        try:
            event = read_json(body.decode())
        except ValueError:
            self.report(seq, "integrity", f"{event_id}: the stored body is no JSON")
            return
        if (event.get("event_id"), event.get("source", ""), event.get("event_type"),
                event.get("customer_id", "")) != (event_id, source, event_type, customer):
            self.report(seq, "integrity", f"{event_id}: the processed row says other than the body")
        if match_count != len(matches):
            self.report(seq, "books", f"{event_id}: match_count is {match_count}, "
                                      f"there are {len(matches)} matches")
        self.matches(seq, event_id, event_type, leaves_of(event), matches,
                     self.timeline.candidates(seq, attempt, at_us - took_us, at_us))

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


def grouped(rows):
    """(seq, {campaign: (version, outcome, rewards)}) for rows in the order of seq."""
    here, found = None, {}
    for seq, campaign, *rest in rows:
        if seq != here:
            if found:
                yield here, found
            here, found = seq, {}
        found[campaign] = tuple(rest)
    if found:
        yield here, found


def open_out(path):
    out = sqlite3.connect(path, isolation_level=None)
    out.executescript("""
        PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
        CREATE TABLE stored (seq INTEGER PRIMARY KEY, event_id TEXT, sha BLOB, replay_of INTEGER);
        CREATE TABLE wrong (seq INTEGER, invariant TEXT, text TEXT);
        BEGIN""")
    return out


def make_judge(task, out):
    def report(seq, invariant, text):
        out.execute("INSERT INTO wrong VALUES (?, ?, ?)", (seq, invariant, text))

    timeline = Timeline(task["versions"], task["anchors"], task["is_clock_sane"], task["first_us"])
    return Judge({(i, v): text for i, v, text in task["documents"]}, timeline, report)


def scan(task):
    """task: data (folder), low, high (seqs), out (file), documents [[id, version, text]],
    versions, anchors, is_clock_sane, first_us (see Timeline). Returns which campaign versions the
    model cannot judge, and why."""
    db, out = open_data(task["data"]), open_out(task["out"])
    judge, span = make_judge(task, out), (task["low"], task["high"])
    matches = grouped(db.execute(MATCHES, span))
    at, found = next(matches, (None, None))
    rows, sha256 = [], hashlib.sha256
    for row in db.execute(EVENTS, span):
        seq = row[0]
        rows.append((seq, row[1], sha256(row[2]).digest(), row[3]))
        if len(rows) == CHUNK:
            out.executemany("INSERT INTO stored VALUES (?, ?, ?, ?)", rows)
            rows.clear()
        while at is not None and at < seq:
            at, found = next(matches, (None, None))
        if row[4] is not None:
            judge.event(row, found if at == seq else {})
    out.executemany("INSERT INTO stored VALUES (?, ?, ?, ?)", rows)
    out.execute("COMMIT")
    out.close()
    db.close()
    return {f"{i} version {v}": why for (i, v), why in judge.model.unsupported.items()}


def main():
    """A task on standard input; the answer goes to standard output."""
    print(json.dumps(scan(json.load(sys.stdin))))
