"""The process that sends: one thread, one epoll, many connections that reconnect for ever.

Half of the connections repeat what got no definite answer until it has one, as SDKs do; the other
half never repeat. A connection has one request on its way at a time.
"""
import errno
import json
import os
import select
import socket
import time
from urllib.parse import urlsplit

from .generate import Generator
from .record import ACKED, INVALID, KINDS, OUTCOMES, REJECTED, UNKNOWN, Counters, Writer

PAUSE_FIRST, PAUSE_LIMIT = 0.01, 0.2  # seconds, after trouble
ANSWER_WITHIN = 10.0                  # seconds; later than that the outcome is unknown
FINISH_WITHIN = 3.0                   # seconds for what is on its way when the load ends
FORMS = ("application/json", "application/x-ndjson")
CLOSED, CONNECTING, IDLE, SENDING, WAITING = range(5)


class Request:
    """Some events and how they travel: single, as an array, as NDJSON."""

    def __init__(self, events, is_batch, is_lines, is_atomic):
        self.events, self.is_batch = events, is_batch
        bodies = [e.body for e in events]
        if not is_batch:
            body = bodies[0]
        elif is_lines:
            body = b"\n".join(bodies) + b"\n"
        else:
            body = b"[" + b",".join(bodies) + b"]"
        path = "/events?atomic=true" if is_atomic else "/events"
        self.data = (f"POST {path} HTTP/1.1\r\nHost: ledger\r\nContent-Type: {FORMS[is_lines]}\r\n"
                     f"Content-Length: {len(body)}\r\n\r\n").encode() + body

    def outcomes(self, status, body):
        """What an answer says about each event."""
        count = len(self.events)
        if 400 <= status < 500:
            return [REJECTED] * count
        if status != 202:
            return [UNKNOWN] * count
        if not self.is_batch:
            return [ACKED]
        answer = json.loads(body)
        outcomes = [ACKED] * count
        for rejection in answer["rejected"]:
            outcomes[rejection["index"]] = REJECTED
        if answer["accepted"] != outcomes.count(ACKED):
            raise ValueError(f"the counts of a batch do not add up: {body[:200]!r}")
        return outcomes


class Connection:
    """One client: its socket and what it is doing."""

    def __init__(self, loop, number):
        self.loop, self.number = loop, number
        self.repeats = number % 2 == 0
        self.state, self.socket = CLOSED, None
        self.request = None  # on its way, or to be sent (again)
        self.op = None       # of the first event of the request on its way
        self.unsent, self.received = b"", b""
        self.deadline = 0.0  # of the answer
        self.ready_at = 0.0  # not before
        self.pause = PAUSE_FIRST

    def go(self, now):
        """Does what is next when nothing is on its way."""
        if self.state == CLOSED:
            self.connect(now)
        elif self.state == IDLE:
            if self.request is None:
                self.request = self.loop.make_request()
            if self.request is not None:
                self.send(now)

    def connect(self, now):
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = self.socket.connect_ex(self.loop.address)
        if code not in (0, errno.EINPROGRESS):
            self.lose(now)
            return
        self.state, self.deadline = CONNECTING, now + ANSWER_WITHIN
        self.loop.watch(self, select.EPOLLOUT)

    def send(self, now):
        events = self.request.events
        self.op = self.loop.writer.sent(self.number, events, self.request.is_batch,
                                        time.time_ns())
        self.loop.count_sent(events)
        self.unsent, self.received = self.request.data, b""
        self.state, self.deadline = SENDING, now + ANSWER_WITHIN
        self.push(now)

    def push(self, now):
        """Sends as much as fits; the rest when there is room."""
        try:
            self.unsent = self.unsent[self.socket.send(self.unsent):]
        except BlockingIOError:
            pass
        except OSError:
            self.lose(now)
            return
        if self.unsent:
            self.loop.change(self, select.EPOLLIN | select.EPOLLOUT)
        else:
            self.state = WAITING

    def on_event(self, mask, now):
        if self.state == CONNECTING:
            self.on_connected(now)
        elif mask & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            self.on_readable(now)
        elif self.state == SENDING:
            self.loop.change(self, select.EPOLLIN)
            self.push(now)

    def on_connected(self, now):
        if self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0:
            self.lose(now)
            return
        self.state = IDLE
        self.loop.change(self, select.EPOLLIN)
        self.loop.counters.add("reconnects")
        self.go_on(now)

    def on_readable(self, now):
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.lose(now)
            return
        self.received += data
        answer = parse_answer(self.received)
        if answer is not None:
            self.answered(*answer, now)

    def answered(self, status, body, is_last, now):
        """A whole answer is here: writes it down and goes on."""
        if self.op is None:  # an answer to nothing, e.g. 408 while idle
            self.lose(now)
            return
        self.settle(self.request.outcomes(status, body), status)
        if status >= 500:
            self.loop.counters.add("unavailable")
            self.wait_longer(now)
        else:
            self.pause, self.ready_at = PAUSE_FIRST, 0.0
        if is_last:
            self.close()
            return
        if self.unsent:  # refused before it was read: the rest would be taken for a request
            self.close()
            return
        self.state = IDLE
        self.go_on(now)

    def go_on(self, now):
        if now >= self.ready_at and self.loop.may_send(now):
            self.go(now)

    def settle(self, outcomes, status):
        """The fate of what was sent is known, be it as unknown."""
        self.loop.writer.answered(self.op, outcomes, status, time.time_ns())
        self.loop.count_answered(self.request.events, outcomes)
        self.op = None
        if not (self.repeats and UNKNOWN in outcomes):
            self.request = None

    def lose(self, now):
        """The connection is of no more use; what was on its way is unknown."""
        if self.op is not None:
            self.settle([UNKNOWN] * len(self.request.events), 0)
        self.close()
        self.wait_longer(now)

    def wait_longer(self, now):
        self.ready_at = now + self.pause
        self.pause = min(self.pause * 2, PAUSE_LIMIT)

    def close(self):
        if self.socket is not None:
            self.loop.forget(self)
            self.socket.close()
        self.socket, self.state = None, CLOSED


def parse_answer(data):
    """(status, body, whether the connection ends) of a whole answer, None before."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    start = head.find(b"content-length:")
    length = int(head[start + 15:].split(b"\r\n", 1)[0]) if start >= 0 else 0
    if len(data) < end + 4 + length:
        return None
    return int(data[9:12]), data[end + 4:end + 4 + length], b"connection: close" in head


class Loop:
    """All connections of a load, from start to stop."""

    def __init__(self, folder, run, options):
        url = urlsplit(options["url"])
        self.address = (url.hostname, url.port)
        self.options = options
        self.counters = Counters(f"{folder}/run-{run}.counters")
        self.writer = Writer(folder, run)
        self.generator = Generator(options["seed"], run, options["duplicates"],
                                   options["conflicts"], options["invalid"])
        self.epoll = select.epoll()
        self.by_fd = {}
        self.connections = [Connection(self, i) for i in range(options["connections"])]
        self.max_ops = options["max_ops"] or 1 << 62
        self.made = 0           # events made so far
        self.next_at = 0.0      # when the rate allows the next request
        self.is_ending = False
        self.parent = os.getppid() if options.get("parent") else None

    def watch(self, connection, mask):
        self.by_fd[connection.socket.fileno()] = connection
        self.epoll.register(connection.socket, mask)

    def change(self, connection, mask):
        self.epoll.modify(connection.socket, mask)

    def forget(self, connection):
        if self.by_fd.pop(connection.socket.fileno(), None) is not None:
            self.epoll.unregister(connection.socket)

    def may_send(self, now):
        return not self.is_ending and now >= self.next_at

    def make_request(self):
        """The next request; None when all have been made."""
        left = self.max_ops - self.made
        if left <= 0:
            return None
        random = self.generator.random
        is_batch = random.random() < self.options["batches"]
        count = min(left, 2 + int(random.random() * 40)) if is_batch else 1
        events = [self.generator.next() for _ in range(count)]
        self.made += count
        if self.options["rate"]:
            now = time.monotonic()
            self.next_at = max(self.next_at, now - 0.1) + count / self.options["rate"]
        is_lines = is_batch and random.random() < 0.5
        is_atomic = is_batch and random.random() < 0.1
        return Request(events, is_batch, is_lines, is_atomic)

    def count_sent(self, events):
        add = self.counters.add
        add("requests")
        add("sent", len(events))
        for event in events:
            add(KINDS[event.kind])

    def count_answered(self, events, outcomes):
        add = self.counters.add
        # Broken JSON in an array, or ?atomic=true, costs the others of its request their place.
        is_explained = ACKED not in outcomes and any(e.kind == INVALID for e in events)
        for event, outcome in zip(events, outcomes):
            add(OUTCOMES[outcome])
            if outcome == ACKED:
                self.generator.note_acked(event)
                if event.kind == INVALID:
                    add("invalid_accepted")
            elif outcome == REJECTED and event.kind != INVALID and not is_explained:
                add("valid_rejected")

    def run(self):
        """Until told to stop, or until max_ops events have been made and answered."""
        self.counters.add("ready")
        while not self.is_done():
            now = time.monotonic()
            for fd, mask in self.epoll.poll(self.turn(now)):
                connection = self.by_fd.get(fd)
                if connection is not None:
                    connection.on_event(mask, time.monotonic())
        self.finish()

    def turn(self, now):
        """Sees to every connection that has nothing on its way; returns how long to wait."""
        wait = 0.05
        for c in self.connections:
            if c.state in (CLOSED, IDLE):
                if now >= c.ready_at and self.may_send(now):
                    c.go(now)
                else:
                    wait = min(wait, max(c.ready_at, self.next_at) - now)
            elif now >= c.deadline:
                c.lose(now)
        return max(wait, 0.001)

    def is_done(self):
        if self.counters.get("stop") or (self.parent and os.getppid() != self.parent):
            return True
        return self.made >= self.max_ops and all(c.request is None for c in self.connections)

    def finish(self):
        """Waits a little for what is on its way; the rest stays unknown."""
        self.is_ending = True
        end = time.monotonic() + FINISH_WITHIN
        while any(c.op is not None for c in self.connections) and time.monotonic() < end:
            for fd, mask in self.epoll.poll(0.05):
                if fd in self.by_fd:
                    self.by_fd[fd].on_event(mask, time.monotonic())
        for connection in self.connections:
            connection.lose(time.monotonic())


def wait_for(url, seconds=60):
    """Until GET url is answered 200."""
    from urllib.request import urlopen
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)


def main(folder, run, options):
    if options.get("sync_url"):
        wait_for(options["sync_url"])
    Loop(folder, run, options).run()
