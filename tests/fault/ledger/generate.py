"""Events made from a seed: ordinary ones, exact duplicates, conflicting bodies, invalid ones.

Ids are counted, so they never repeat by chance; a few ids are used by two sources on purpose (that
makes two events). What is a duplicate or a conflict is chosen from what this load has sent before.
"""
import hashlib
from collections import deque
from random import Random

from .record import CONFLICT, DUPLICATE, INVALID, NEW

RING = 2000  # how many events back duplicates and conflicts reach
TYPES = ("purchase", "purchase", "purchase", "page_view", "page_view", "signup", "refund", "login")
SOURCES = ("web", "app", "pos", "")
COUNTRIES = ("DE", "AT", "CH", "US", "FR", "test")
SKUS = ("shoe-1", "shoe-2", "sock-1", "hat-9", "Shoe-3")
NOTES = ("", "thé à la menthe", "日本語", 'say \\"hi\\"', "tab\\tnew\\nline", "x" * 300)
TAGS = ('[]', '["vip"]', '["new","vip"]', '["new"]', '"vip"', 'null')
AMOUNTS = ("35", "35.0", "3.5e1", "-0", "0.01", "50", "50.00", "50.01", "999999999.99", '"75"')


class Event:
    """One event as it is sent; its body never changes."""
    __slots__ = ("event_id", "source", "body", "kind", "sha", "id_bytes", "source_bytes")

    def __init__(self, event_id, source, body, kind):
        self.event_id, self.source, self.body, self.kind = event_id, source, body, kind
        self.sha = hashlib.sha256(body).digest()
        self.id_bytes, self.source_bytes = event_id.encode(), source.encode()

    def again(self):
        """The same bytes, sent as a duplicate."""
        copy = Event.__new__(Event)
        for name in Event.__slots__:
            setattr(copy, name, getattr(self, name))
        copy.kind = DUPLICATE
        return copy


class Generator:
    """Shares of all events: duplicates, conflicts, invalid. Deterministic but for what is chosen
    from the events acknowledged so far, which depends on timing."""

    def __init__(self, seed, run, duplicates=0.05, conflicts=0.01, invalid=0.01):
        self.random = Random(f"events {seed} {run}")
        self.prefix = f"s{seed}r{run}-"
        self.number = 0
        self.duplicates, self.conflicts, self.invalid = duplicates, conflicts, invalid
        self.recent = deque(maxlen=RING)  # sent, whatever became of them
        self.acked = deque(maxlen=RING)   # acknowledged: only these get a conflicting twin

    def next(self):
        """The next event to send."""
        draw = self.random.random()
        if draw < self.invalid:
            return self.make_invalid()
        draw -= self.invalid
        if draw < self.duplicates and self.recent:
            return self.recent[int(self.random.random() * len(self.recent))].again()
        draw -= self.duplicates
        if 0 <= draw < self.conflicts and self.acked:
            return self.make_conflict()
        return self.make_new()

    def note_acked(self, event):
        if event.kind == NEW:
            self.acked.append(event)

    def pick(self, values):
        return values[int(self.random.random() * len(values))]

    def make_new(self):
        source = self.pick(SOURCES)
        if self.random.random() < 0.02 and self.recent and self.recent[-1].source != source:
            event_id = self.recent[-1].event_id  # the same id from another source
            if any(e.event_id == event_id and e.source == source for e in self.recent):
                event_id = self.new_id()
        else:
            event_id = self.new_id()
        event = Event(event_id, source, self.make_body(event_id, source), NEW)
        self.recent.append(event)
        return event

    def new_id(self):
        self.number += 1
        return f"{self.prefix}{self.number:08d}"

    def make_conflict(self):
        """Other bytes for an id that was acknowledged: accepted, and set aside later."""
        first = self.pick(self.acked)
        body = self.make_body(first.event_id, first.source, note=f"conflict {self.number}")
        self.number += 1
        return Event(first.event_id, first.source, body, CONFLICT)

    def make_invalid(self):
        """Each kind must be answered 4xx, alone or in a batch."""
        event_id, kind = self.new_id(), int(self.random.random() * 5)
        body = (f'{{"event_id":"{event_id}","event_ty',
                f'{{"event_id":"{event_id}"}}',
                f'{{"event_id":"{event_id}","event_type":7}}',
                f'{{"event_id":"{event_id}","event_type":"purchase","payload":[1]}}',
                f'{{"event_id":"{event_id}","event_type":"purchase","amount":5}}')[kind]
        return Event(event_id, "", body.encode(), INVALID)

    def make_body(self, event_id, source, note=None):
        """An event document, with what patterns find hard: spellings of numbers, arrays, absent and
        null fields, text beyond ASCII."""
        draw = self.random.random
        members = [f'"event_id":"{event_id}","event_type":"{TYPES[int(draw() * len(TYPES))]}"']
        if source:
            members.append(f'"source":"{source}"')
        if draw() < 0.9:
            members.append(f'"customer_id":"{"b2b-" if draw() < 0.1 else "c"}{int(draw() * 500)}"')
        if draw() < 0.5:
            members.append(f'"timestamp":"2025-0{1 + int(draw() * 9)}-15T10:{int(draw() * 60):02d}'
                           ':00.25Z"')
        members.append(f'"payload":{self.make_payload(note)}')
        return ("{" + (", " if draw() < 0.1 else ",").join(members) + "}").encode()

    def make_payload(self, note):
        draw = self.random.random
        amount = self.pick(AMOUNTS) if draw() < 0.1 else f"{int(draw() * 20000) / 100:.2f}"
        members = [f'"amount":{amount},"country":"{self.pick(COUNTRIES)}"']
        if draw() < 0.3:
            members.append(f'"tags":{self.pick(TAGS)}')
        if draw() < 0.3:
            members.append('"items":[' + ",".join(
                f'{{"sku":"{self.pick(SKUS)}","count":{1 + int(draw() * 3)}}}'
                for _ in range(int(draw() * 3))) + "]")
        if draw() < 0.3:
            members.append(f'"vip":{self.pick(("true", "false", "null"))}')
        if note is not None or draw() < 0.2:
            members.append(f'"note":"{note if note is not None else self.pick(NOTES)}"')
        return "{" + ",".join(members) + "}"
