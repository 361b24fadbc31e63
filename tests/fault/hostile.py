"""Clients and surroundings that a server should survive, and the client that measures it meanwhile.

Crowds of connections and the probe run in processes of their own: a process may have only so many
descriptors, and a test that is busy would measure itself. Run as a program, this file is such a
process; it shares no code with the program under test.
"""
import contextlib
import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
CROWDS = {"post": (1, 1), "flood": (1000, 1), "heavy": (500, 1900)}  # events, bytes of payload
TICK = os.sysconf("SC_CLK_TCK")


# ---- what a test uses ------------------------------------------------------------------------

class Crowd:
    """COUNT connections of one kind, held by a process of its own until the block ends.

    idle: connected, silent. trickle: a request's head comes a byte a second. post: each sends POSTs
    as fast as it is answered. flood: the same with a thousand events in each; heavy: with nearly a
    mebibyte in each. What it was answered is counted by status; 0 is the end of a connection that
    waited for its answer, "closed" that of one on which nothing had been sent.
    """

    def __init__(self, port, kind, count):
        self.command = [sys.executable, str(HERE), "crowd", str(port), kind, str(count)]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.opened = json.loads(self.process.stdout.readline())["opened"]
        return self

    def __exit__(self, *error):
        """The crowd leaves; left is what it saw: open connections, answers by status."""
        try:
            out, _ = self.process.communicate("", timeout=60)
        finally:
            self.process.kill()
        self.left = json.loads(out) if out else {}
        return False


class Figures:
    """What a probe measured. Units: seconds."""

    def __init__(self, text):
        self.latencies, self.statuses = (lambda d: (sorted(d["latencies"]), d["statuses"]))(
            json.loads(text))

    def p(self, percent):
        return self.latencies[min(len(self.latencies) - 1, len(self.latencies) * percent // 100)]

    def __repr__(self):
        if not self.latencies:
            return "nothing was measured"
        return (f"{len(self.latencies)} requests, ms: p50 {self.p(50) * 1000:.2f} "
                f"p99 {self.p(99) * 1000:.2f} max {self.latencies[-1] * 1000:.2f} {self.statuses}")


class Probe:
    """A healthy client on one connection in a process of its own.

    POSTs events (path "/events") or GETs path; count requests (0: until told). pause 0: each is
    sent when the last one was answered, and timed from then. Else one is due every pause seconds
    whatever became of the last one, and timed from when it was due: who is late for one second is
    late for all requests of that second.
    """

    def __init__(self, port, path, count=0, pause=0.0):
        self.process = subprocess.Popen(
            [sys.executable, str(HERE), "probe", str(port), path, str(count), str(pause)],
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def finish(self):
        """Ends an endless probe, waits for a counted one."""
        out, _ = self.process.communicate("", timeout=120)
        return Figures(out)

    def wait(self):
        out = self.process.stdout.read()
        self.process.stdin.close()
        self.process.wait()
        return Figures(out)


def preloads(name):
    """Path of a library of the fault builds or of the system, None when it is not there."""
    places = [Path(os.environ.get("EF_FAULTS", "build/faults")) / "tests/fault" / name,
              *Path("/usr/lib").glob(f"*/faketime/{name}")]
    return next((str(p.resolve()) for p in places if p.exists()), None)


def wrap_binary(folder, binary, *lines):
    """A program that runs shell lines first and then becomes the real one, with the same pid."""
    path = Path(folder) / "wrapped-eventflow"
    path.write_text("\n".join(["#!/bin/sh", *lines, f'exec "{binary}" "$@"', ""]))
    path.chmod(0o755)
    return str(path)


def cpu_seconds(pid):
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss_bytes(pid, name="VmRSS"):
    """Memory of a process now (VmRSS) or at most (VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"{name} of {pid}?")


def judge(storm, *foreign):
    """The ledger finds nothing wrong. foreign: how the ids of events begin that were sent beside
    it."""
    assert storm.server.is_running(), storm.server.tail()
    verdict = storm.judge(*foreign)
    assert verdict.ok, str(verdict)


class MountNotAllowed(Exception):
    """This machine does not let us mount: the test is to be skipped, visibly."""


@contextlib.contextmanager
def small_disk(options):
    """A tmpfs of our own, e.g. "size=16m"; gone at the end, whatever happened in between."""
    folder = tempfile.mkdtemp(prefix="eventflow-disk-")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder],
                          stderr=subprocess.PIPE, text=True)
    try:
        if made.returncode != 0:
            raise MountNotAllowed(made.stderr.strip())
        yield Path(folder)
    finally:
        if made.returncode == 0:
            # Lazily: what still has a file open there must not keep the rest of the tests waiting.
            subprocess.run(["umount", "-l", folder], check=True)
        os.rmdir(folder)


# ---- the processes ---------------------------------------------------------------------------

def connect(port):
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def post(*event_ids, size=1):
    """A request with these events, as lines."""
    tail = f'","event_type":"purchase","payload":{{"n":"{"1" * size}"}}}}'
    body = "\n".join(f'{{"event_id":"{i}{tail}' for i in event_ids).encode()
    return (b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body))


def read_answer(sock):
    """Status of the next answer and whether it is the last; 0 when the connection ended instead."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = sock.recv(65536)
        if not chunk:
            return 0, True
        data += chunk
    head, _, body = data.lower().partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n")
                   if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        chunk = sock.recv(65536)
        if not chunk:
            return 0, True
        body += chunk
    return int(head.split(b" ", 2)[1]), b"connection: close" in head


def run_probe(port, path, count, pause):
    """One request after the other; each is timed from when it was due (see Probe)."""
    stop = selectors.DefaultSelector()
    stop.register(sys.stdin, selectors.EVENT_READ)
    latencies, statuses, number = [], {}, 0
    sock = connect(port)
    get = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    due = time.perf_counter()
    while count == 0 or number < count:
        if count == 0 and stop.select(0):
            break
        request = post(f"probe-{os.getpid()}-{number}") if path == "/events" else get
        began = due if pause else time.perf_counter()
        time.sleep(max(0.0, began - time.perf_counter()))
        sock.sendall(request)
        status, is_last = read_answer(sock)
        latencies.append(time.perf_counter() - began)
        due += pause
        statuses[status] = statuses.get(status, 0) + 1
        number += 1
        if is_last:
            sock = connect(port)
    print(json.dumps({"latencies": latencies, "statuses": statuses}), flush=True)


class Trickler:
    """Sends every open connection one more byte of an endless head, once a second."""

    def __init__(self, socks):
        self.socks, self.due = socks, 0.0

    def step(self):
        if time.monotonic() < self.due:
            return
        self.due = time.monotonic() + 1
        for sock in self.socks:
            with contextlib.suppress(OSError):
                sock.setblocking(False)
                sock.send(b"x")


def is_open(sock):
    """Whether the other side has neither answered nor closed."""
    try:
        sock.setblocking(False)
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def open_crowd(port, count):
    """As many of the connections as the kernel gives us; the server's backlog may hold some."""
    socks = []
    for _ in range(count):
        try:
            socks.append(connect(port))
        except OSError:
            break
    return socks


def run_crowd(port, kind, count):
    stop = selectors.DefaultSelector()
    stop.register(sys.stdin, selectors.EVENT_READ)
    socks = open_crowd(port, count)
    trickler = Trickler(socks)
    if kind == "trickle":
        for sock in socks:
            sock.send(b"POST /events HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    print(json.dumps({"opened": len(socks)}), flush=True)
    poster = Poster(port, socks, *CROWDS[kind]) if kind in CROWDS else None
    while not stop.select(0 if poster else 0.1):
        if kind == "trickle":
            trickler.step()
        elif poster:
            poster.step()
    left = {"open": sum(map(is_open, socks)), "statuses": poster.statuses if poster else {}}
    print(json.dumps(left), flush=True)


class Poster:
    """Every connection sends its next POST when the last one was answered; one that was closed is
    opened anew. Never waits for a single connection."""

    def __init__(self, port, socks, batch, size):
        self.port, self.batch, self.size, self.number = port, batch, size, 0
        self.statuses, self.unsent, self.sizes = {}, {}, {}
        self.ready = selectors.DefaultSelector()
        for sock in socks:
            self.add(sock)

    def add(self, sock):
        sock.setblocking(False)
        self.number += self.batch
        ids = [f"crowd-{os.getpid()}-{self.number + n}" for n in range(self.batch)]
        self.unsent[sock] = post(*ids, size=self.size)
        self.sizes[sock] = len(self.unsent[sock])
        self.ready.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def step(self):
        for key, mask in self.ready.select(0.05):
            with contextlib.suppress(BlockingIOError):
                try:
                    self.serve(key.fileobj, mask)
                except OSError as error:
                    if isinstance(error, BlockingIOError):
                        raise
                    self.replace(key.fileobj, self.end_of(key.fileobj))

    def serve(self, sock, mask):
        if mask & selectors.EVENT_READ:
            sock.settimeout(30)  # an answer is short and comes at once
            status, is_last = read_answer(sock)
            status = status or self.end_of(sock)
            self.replace(sock, status) if is_last else self.next(sock, status)
        elif self.unsent[sock]:
            self.unsent[sock] = self.unsent[sock][sock.send(self.unsent[sock]):]
        else:
            self.ready.modify(sock, selectors.EVENT_READ)

    def end_of(self, sock):
        """What to call the end of a connection without an answer."""
        return "closed" if len(self.unsent[sock]) == self.sizes[sock] else 0

    def next(self, sock, status):
        """On the same connection."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.ready.unregister(sock)
        self.add(sock)

    def replace(self, sock, status):
        """On a new one; none when nobody listens any more."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.ready.unregister(sock)
        del self.unsent[sock], self.sizes[sock]
        sock.close()
        with contextlib.suppress(OSError):
            self.add(connect(self.port))


if __name__ == "__main__":
    if sys.argv[1] == "probe":
        run_probe(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
    else:
        run_crowd(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
