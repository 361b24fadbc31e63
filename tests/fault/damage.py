"""Kinds of damage to good databases, for the test of the ledger: each is to be found and named.

Every function spoils one place and returns how a finding must begin: with the event's id, or with
the name of a counter. Called again, it takes another place.
"""
import hashlib
import sqlite3

from ledger.record import ANSWER, INVALID, SENT, UNKNOWN


class Damage:
    """A copy of the good databases and their ledger, to be spoiled."""

    def __init__(self, ledger, data, first=200, step=150):
        self.ledger, self.step = ledger, step
        self.next_plain, self.next_failed = first, 2
        self.store = sqlite3.connect(data / "eventflow.db", isolation_level=None)
        self.store.execute("ATTACH ? AS queue", (str(data / "queue.db"),))

    def one(self, sql, *args):
        """The first row; it must be there."""
        return self.store.execute(sql, args).fetchone()

    def run(self, sql, *args):
        assert self.store.execute(sql, args).rowcount == 1, sql

    def plain(self):
        """(seq, event id) of an event with two matches and no copies."""
        at, self.next_plain = self.next_plain, self.next_plain + self.step
        return self.one("""
            SELECT seq, event_id FROM processed WHERE duplicates = 0 AND match_count = 2
            AND event_id NOT IN (SELECT event_id FROM failed) LIMIT 1 OFFSET ?""", at)

    def failure(self):
        """(id, seq, event id) of a conflict."""
        at, self.next_failed = self.next_failed, self.next_failed + 2
        return self.one("SELECT id, seq, event_id FROM failed ORDER BY id LIMIT 1 OFFSET ?", at)

    def copy_row(self, table, seq, **changes):
        """The row again under a seq that no message has, with some columns changed."""
        rows = self.store.execute(f"SELECT * FROM {table} WHERE seq = ?", (seq,))
        row = dict(zip([column[0] for column in rows.description], rows.fetchone()))
        row.update(changes, seq=self.one("SELECT max(seq) + 1 FROM queue.raw_events")[0])
        self.run(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
                 *row.values())

    def count(self, **changes):
        for name, change in changes.items():
            self.run("UPDATE counters SET value = value + ? WHERE name = ?", change, name)

    def drop_matches(self, seq):
        """How many there were."""
        return self.store.execute("DELETE FROM matches WHERE seq = ?", (seq,)).rowcount

    def change_record(self, suffix, layout, is_it, change):
        """Rewrites the first record that it is; change(fields) gives the new ones."""
        for path in sorted(self.ledger.glob(f"run-*.{suffix}")):
            data = bytearray(path.read_bytes())
            for at in range(0, len(data), layout.size):
                fields = layout.unpack_from(data, at)
                if is_it(fields):
                    layout.pack_into(data, at, *change(fields))
                    path.write_bytes(data)
                    return fields
        raise AssertionError(f"no such record: {suffix}")


def delete_raw_row(d):
    seq, event_id = d.plain()
    d.run("DELETE FROM queue.raw_events WHERE seq = ?", seq)
    return event_id


def add_raw_row(d):
    d.copy_row("queue.raw_events", d.plain()[0], event_id="ghost-1",
               body='{"event_id":"ghost-1","event_type":"purchase"}')
    return "ghost-1"


def add_second_copy(d):
    seq, event_id = d.plain()
    d.copy_row("queue.raw_events", seq)
    return event_id


def flip_byte(d):
    seq, event_id = d.plain()
    body = bytearray(d.one("SELECT CAST(body AS BLOB) FROM queue.raw_events WHERE seq = ?", seq)[0])
    body[body.index(b'"amount":') + 9] ^= 1
    d.run("UPDATE queue.raw_events SET body = CAST(? AS TEXT) WHERE seq = ?", bytes(body), seq)
    return event_id


def delete_processed_row(d):
    seq, event_id = d.plain()
    d.run("DELETE FROM processed WHERE seq = ?", seq)
    return event_id


def duplicate_processed_row(d):
    seq, event_id = d.plain()
    d.copy_row("processed", seq)
    return event_id


def delete_match(d):
    seq, event_id = d.plain()
    d.run("""DELETE FROM matches WHERE (campaign_id, seq) IN
             (SELECT campaign_id, seq FROM matches WHERE seq = ? LIMIT 1)""", seq)
    return event_id


def add_match(d):
    seq, event_id = d.plain()
    d.run("""INSERT INTO matches SELECT campaign_id, ?1, campaign_version, outcome, rewards,
             matched_at_us, checksum FROM matches WHERE campaign_id NOT IN
             (SELECT campaign_id FROM matches WHERE seq = ?1)
             ORDER BY abs(seq - ?1) LIMIT 1""", seq)
    return event_id


def change_counter(d):
    d.run("UPDATE counters SET value = value + 1 WHERE name = 'matches'")
    return "matches"


def delete_failed_row(d):
    _, seq, event_id = d.failure()
    d.run("DELETE FROM failed WHERE seq = ?", seq)
    return event_id


def change_match_version(d):
    """To a version that never was."""
    seq, event_id = d.plain()
    d.run("""UPDATE matches SET campaign_version = 99 WHERE seq = ?1 AND campaign_id =
             (SELECT min(campaign_id) FROM matches WHERE seq = ?1)""", seq)
    return event_id


def change_match_version_to_another(d):
    """To one that exists, but not then."""
    campaign, seq, event_id = d.one("""
        SELECT m.campaign_id, m.seq, p.event_id FROM matches AS m JOIN processed AS p USING (seq)
        WHERE m.campaign_version = 1 AND p.attempt = 1
          AND m.campaign_id IN (SELECT campaign_id FROM matches GROUP BY 1
                                HAVING max(campaign_version) > 1) LIMIT 1 OFFSET 20""")
    d.run("UPDATE matches SET campaign_version = 2 WHERE campaign_id = ? AND seq = ?", campaign,
          seq)
    return event_id


def fail_a_good_event(d):
    """As if it could not be processed; the books are kept."""
    seq, event_id = d.plain()
    d.run("""INSERT INTO failed (seq, event_id, source, event_type, customer_id, correlation_id,
             reason, error, attempts, body, received_at_us, first_failed_at_us, last_failed_at_us,
             checksum)
             SELECT p.seq, p.event_id, p.source, p.event_type, p.customer_id, p.correlation_id,
             'processing_failed', 'no', 3, CAST(r.body AS BLOB), p.received_at_us,
             p.processed_at_us, p.processed_at_us, 0
             FROM processed AS p JOIN queue.raw_events AS r ON r.seq = p.seq WHERE p.seq = ?""", seq)
    d.run("DELETE FROM processed WHERE seq = ?", seq)
    d.count(processed=-1, failed=1, matches=-d.drop_matches(seq))
    return event_id


def fail_a_good_event_as_a_conflict(d):
    event_id = fail_a_good_event(d)
    d.run("UPDATE failed SET reason = 'event_id_conflict' WHERE event_id = ?", event_id)
    return event_id


def rename_failure(d):
    number, _, event_id = d.failure()
    d.run("UPDATE failed SET event_id = 'ghost-2' WHERE id = ?", number)
    return event_id


def change_failure(d):
    number, _, event_id = d.failure()
    d.run("UPDATE failed SET event_type = 'ghost' WHERE id = ?", number)
    return event_id


def rename_message(d):
    seq, event_id = d.plain()
    d.run("UPDATE queue.raw_events SET event_id = 'ghost-3' WHERE seq = ?", seq)
    return event_id


def rename_failed_message(d):
    _, seq, event_id = d.failure()
    d.run("UPDATE queue.raw_events SET event_id = 'ghost-4' WHERE seq = ?", seq)
    return event_id


def change_processed(d, change):
    seq, event_id = d.plain()
    d.run(f"UPDATE processed SET {change} WHERE seq = ?", seq)
    return event_id


def shift_time(d):
    return change_processed(d, "at_us = at_us + 86400000000")


def change_arrival(d):
    return change_processed(d, "received_at_us = received_at_us + 1")


def change_correlation(d):
    return change_processed(d, "correlation_id = 'ghost'")


def store_an_invalid_event(d):
    """Nobody knows how it was answered, but it must not be there."""
    def form(fields):
        return b'{"event_id":"%s","event_type":7}' % fields[6].rstrip(b"\0")

    def is_it(fields):
        return fields[3] == INVALID and hashlib.sha256(form(fields)).digest() == fields[5]
    fields = d.change_record("sent", SENT, is_it, lambda f: f)
    d.change_record("answers", ANSWER, lambda f: f[0] == fields[0],
                    lambda f: (f[0], f[1], 0, UNKNOWN))
    event_id = fields[6].rstrip(b"\0").decode()
    d.copy_row("queue.raw_events", d.plain()[0], event_id=event_id, body=form(fields).decode())
    return event_id


def swap_ends(d):
    """Of an event and the conflicting body that came later: the last one wins."""
    loser, winner, event_id = d.one("""
        SELECT f.seq, p.seq, p.event_id FROM failed AS f
        JOIN processed AS p ON p.event_id = f.event_id AND p.source = f.source
        WHERE p.duplicates = 0 AND f.reason = 'event_id_conflict' GROUP BY p.seq
        HAVING count(*) = 1 LIMIT 1 OFFSET ?""", d.next_failed + 5)
    d.count(matches=-d.drop_matches(winner))
    (body,) = d.one("SELECT CAST(body AS BLOB) FROM queue.raw_events WHERE seq = ?", winner)
    d.run("UPDATE processed SET seq = ?, match_count = 0 WHERE seq = ?", loser, winner)
    d.run("UPDATE failed SET seq = ?, body = ? WHERE seq = ?", winner, body, loser)
    return event_id


def collide(d):
    """Another body was sent, whose digest begins with the same 64 bits."""
    _, event_id = d.plain()
    d.change_record("sent", SENT, lambda f: f[6].rstrip(b"\0").decode() == event_id,
                    lambda f: (*f[:5], f[5][:8] + bytes(24), *f[6:]))
    return event_id


# Each with the invariant that must find it.
DAMAGES = [
    (delete_raw_row, "no loss"), (add_raw_row, "no invention"), (add_second_copy, "no invention"),
    (flip_byte, "integrity"), (delete_processed_row, "terminal"),
    (duplicate_processed_row, "once"), (delete_match, "matches"), (add_match, "matches"),
    (change_counter, "books"), (delete_failed_row, "terminal"), (change_match_version, "matches"),
    (change_match_version_to_another, "matches"), (fail_a_good_event, "terminal"),
    (fail_a_good_event_as_a_conflict, "terminal"), (rename_failure, "integrity"),
    (change_failure, "integrity"), (rename_message, "integrity"),
    (rename_failed_message, "integrity"), (shift_time, "integrity"), (change_arrival, "integrity"),
    (change_correlation, "integrity"), (store_an_invalid_event, "no invention"),
    (swap_ends, "integrity"), (collide, "integrity"),
]
BOOKED = {"processed", "failed", "duplicate", "matches", "received", "position"}  # counters
