"""What the front door must refuse or survive, by sockets and hand-made bytes.

The server is the program itself (EF_BINARY), or, when FRONT_DOOR_SERVER names it, the small
server of tests/unit/api/front_door_server.c with the same flags. Tests that need its extra routes
find it beside the program and say so when they cannot run.
"""
import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from conftest import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = os.environ.get("EF_BINARY", str(ROOT / "build/checked/eventflow"))
SMALL = os.environ.get("FRONT_DOOR_SERVER") or str(
    Path(PROGRAM).parent / "tests/unit/api/front_door_server")
IS_SMALL = "FRONT_DOOR_SERVER" in os.environ or not os.path.exists(PROGRAM)
# The program refuses variables that it does not know, EF_BINARY among them.
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("EVENTFLOW_")}
DEADLINE = 30  # seconds for any condition; sanitizer builds on busy machines are slow

HOST = b"Host: localhost\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n"


def wait_until(condition, what):
    end = time.monotonic() + DEADLINE
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {DEADLINE} s for {what}"
        time.sleep(0.01)


# ---- the server ------------------------------------------------------------------------------


class Door:
    """A running server."""

    def __init__(self, folder, flags, small=False, descriptors=None, host="127.0.0.1"):
        self.host = host
        self.family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.port, self.metrics_port = free_port(), free_port()
        self.small = small or IS_SMALL
        self.log_path = Path(folder) / "server.log"
        address = f"[{host}]" if ":" in host else host
        command = [SMALL] if self.small else [PROGRAM, "serve"]
        command += ["--listen", f"{address}:{self.port}", "--metrics-listen",
                    f"127.0.0.1:{self.metrics_port}", "--data", str(Path(folder) / "data"), *flags]

        def limit():
            most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            soft = descriptors or most
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft if descriptors else most))

        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=limit,
                                            env=ENVIRONMENT)
        try:
            wait_until(self.is_alive, "the server: " + " ".join(command))
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def is_alive(self):
        assert self.process.poll() is None, self.log_path.read_text(errors="replace")
        try:
            with self.connect() as c:
                c.send(LIVE)
                return c.read().status == 200
        except OSError:
            return False

    def connect(self, **options):
        return Client(self.host, self.port, **options)

    def ask(self, data):
        with self.connect() as c:
            c.send(data)
            return c.read()

    def metric(self, name):
        """The sum of a metric over its labels, read through the second door."""
        with Client("127.0.0.1", self.metrics_port) as c:
            c.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            text = c.read().body.decode()
        found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.M)
        return sum(float(value) for value in found)

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def term(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        if self.process.poll() is None:
            self.term()
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def slug(self):
        return self.json["type"].rsplit("/", 1)[1]


class Client:
    """One connection. Reads answers strictly, one at a time."""

    def __init__(self, host, port, receive_buffer=None):
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(DEADLINE)
        self.socket.connect((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def fill(self):
        data = self.socket.recv(65536)
        self.rest += data
        return bool(data)

    def read(self, head_only=False):
        while b"\r\n\r\n" not in self.rest:
            if not self.fill():
                raise ConnectionError(f"closed inside a head: {self.rest!r}")
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        version, status = lines[0].split(" ")[:2]
        assert version == "HTTP/1.1"
        headers = {}
        for line in lines[1:]:
            name, value = line.split(": ", 1)
            assert name.lower() not in headers, f"{name} is sent twice"
            headers[name.lower()] = value
        size = 0 if head_only else int(headers.get("content-length", 0))
        while len(self.rest) < size:
            if not self.fill():
                raise ConnectionError("closed inside a body")
        body, self.rest = self.rest[:size], self.rest[size:]
        return Answer(int(status), headers, body)

    def assert_closed(self):
        """The server ends the connection cleanly, without another byte."""
        assert self.rest == b""
        assert not self.fill(), f"bytes behind the last answer: {self.rest!r}"


@pytest.fixture
def start(tmp_path):
    """start("--flag", "value", ...) gives a server, which is stopped and checked afterwards."""
    doors = []

    def start_one(*flags, **options):
        folder = tmp_path / str(len(doors))
        folder.mkdir()
        doors.append(Door(folder, flags, **options))
        return doors[-1]

    yield start_one
    for door in doors:
        code = door.stop()
        assert code == 0, door.log_path.read_text(errors="replace")[-4000:]


@pytest.fixture
def start_small(start):
    if not os.path.exists(SMALL):
        pytest.skip(f"needs front_door_server, not found at {SMALL}")
    return lambda *flags, **options: start(*flags, small=True, **options)


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    """One server for the tests that need no flags."""
    one = Door(tmp_path_factory.mktemp("door"), ["--body-max", "64KiB", "--events-max", "100"])
    yield one
    assert one.stop() == 0, one.log_path.read_text(errors="replace")[-4000:]


def event(number):
    return json.dumps({"event_id": f"e-{number}", "event_type": "test"}).encode()


def post(body, *headers, path=b"/events", media=b"application/json"):
    lines = [b"POST " + path + b" HTTP/1.1\r\n", HOST, b"Content-Type: " + media + b"\r\n",
             b"Content-Length: %d\r\n" % len(body)]
    return b"".join(lines) + b"".join(h + b"\r\n" for h in headers) + b"\r\n" + body


def pieces(body, size, trailers=b""):
    """The body in chunks of that size."""
    parts = [body[i:i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n" % len(p) + p + b"\r\n" for p in parts) + b"0\r\n" + trailers + b"\r\n"


def chunked(chunks, path=b"/events"):
    return (b"POST " + path + b" HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + chunks)


# ---- order and framing -----------------------------------------------------------------------


def test_answers_requests_on_one_connection(door):
    with door.connect() as c:
        for i in range(3):
            c.send(post(event(i)))
            answer = c.read()
            assert answer.status == 202 and answer.json["event_id"] == f"e-{i}"
            assert "connection" not in answer.headers


def test_pipelined_requests_are_answered_in_order(door):
    with door.connect() as c:
        c.send(b"".join(post(event(i)) for i in range(5)))
        assert [c.read().json["event_id"] for _ in range(5)] == [f"e-{i}" for i in range(5)]


def test_pipelined_requests_of_all_kinds_stay_in_order(door):
    campaigns = b"GET /campaigns HTTP/1.1\r\n" + HOST + b"\r\n"
    nowhere = b"GET /nowhere HTTP/1.1\r\n" + HOST + b"\r\n"
    split = chunked(pieces(event(2), 7))
    with door.connect() as c:
        c.send((post(event(1)) + campaigns + LIVE + nowhere + split) * 20)
        for _ in range(20):
            assert [c.read().status for _ in range(5)] == [202, 200, 200, 404, 202]


def test_a_thousand_pipelined_requests_do_not_lock_others_out(door):
    with door.connect() as c, door.connect() as other:
        c.send(LIVE * 1000)
        other.send(LIVE)
        assert other.read().status == 200
        assert all(c.read().status == 200 for _ in range(1000))


def test_a_request_may_come_byte_by_byte(door):
    with door.connect() as c:
        for byte in post(event(7)) + chunked(pieces(event(8), 9, b"T: u\r\n")):
            c.send(bytes([byte]))
        assert c.read().json["event_id"] == "e-7"
        assert c.read().json["event_id"] == "e-8"


@pytest.mark.parametrize("size", [9000, 20000, 30000, 60000])
def test_bodies_of_any_size_arrive_whole(door, size):
    one = {"event_id": "big", "event_type": "test", "payload": {"fill": "x" * size}}
    body = json.dumps(one).encode()
    with door.connect() as c:
        c.send(post(body) + chunked(pieces(body, 777)) + LIVE)
        assert c.read().json["event_id"] == "big"
        assert c.read().json["event_id"] == "big"
        assert c.read().status == 200


BAD_HEADS = {
    "garbage": b"\x16\x03\x01\x02\x00\r\n\r\n",
    "no_target": b"GET HTTP/1.1\r\n" + HOST + b"\r\n",
    "no_version": b"GET /health/live\r\n" + HOST + b"\r\n",
    "two_spaces": b"GET  /health/live HTTP/1.1\r\n" + HOST + b"\r\n",
    "bad_method": b"G@T /health/live HTTP/1.1\r\n" + HOST + b"\r\n",
    "no_host": b"GET /health/live HTTP/1.1\r\n\r\n",
    "two_hosts": b"GET /health/live HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "length_and_chunked": (b"POST /events HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "two_lengths": (b"POST /events HTTP/1.1\r\n" + HOST + b"Content-Length: 7\r\n"
                    b"Content-Length: 8\r\n\r\n{}     "),
    "unknown_coding": (b"POST /events HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n"),
    "coding_list": (b"POST /events HTTP/1.1\r\n" + HOST +
                    b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "space_before_colon": b"POST /events HTTP/1.1\r\n" + HOST + b"Content-Length : 7\r\n\r\n{}     ",
    "plus_length": b"POST /events HTTP/1.1\r\n" + HOST + b"Content-Length: +7\r\n\r\n{}     ",
    "nul_in_header": b"GET /health/live HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
    "cr_in_header": b"GET /health/live HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n",
    "cr_after_colon": b"GET /health/live HTTP/1.1\r\n" + HOST + b"X:\rb\r\n\r\n",
    "cr_lf_cr_x": b"GET /health/live HTTP/1.1\r\n" + HOST + b"\rX: y\r\n\r\n",
    "folded": b"GET /health/live HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
    "bare_lf": b"GET /health/live HTTP/1.1\nHost: x\n\n",
    "bare_lf_inside": b"GET /health/live HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
    "bare_lf_at_end": b"GET /health/live HTTP/1.1\r\n" + HOST + b"\n",
}


@pytest.mark.parametrize("name", BAD_HEADS)
def test_broken_framing_is_400_and_nothing_more(door, name):
    with door.connect() as c:
        c.send(BAD_HEADS[name] + LIVE)
        answer = c.read()
        assert answer.status == 400 and answer.slug == "bad-request"
        assert answer.headers["connection"] == "close"
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-correlation-id"])
        c.assert_closed()


def test_requests_before_broken_framing_are_answered(door):
    with door.connect() as c:
        c.send(LIVE + post(event(1)) + BAD_HEADS["two_lengths"] + LIVE)
        assert [c.read().status for _ in range(3)] == [200, 202, 400]
        c.assert_closed()


@pytest.mark.parametrize("chunks", [
    b"x\r\n", b"-1\r\n", b"0x2\r\n{}\r\n0\r\n\r\n", b"2\n{}\r\n0\r\n\r\n", b"\r\n",
    b"2\r\n{}x\r\n0\r\n\r\n", b"ffffffffffffffffff\r\n", b"2\r\n{}\r\n0\r\n\rX",
    b"2;\0\r\n{}\r\n0\r\n\r\n", b"2 3\r\n{}\r\n0\r\n\r\n"])
def test_bad_chunks_are_400_and_nothing_more(door, chunks):
    with door.connect() as c:
        c.send(chunked(chunks) + LIVE)
        answer = c.read()
        assert answer.status == 400 and answer.slug == "bad-request"
        c.assert_closed()


def test_chunk_extensions_are_accepted(door):
    body = event(3)
    chunks = b"%x;a;b=c;d=\"e f\"\r\n" % len(body) + body + b"\r\n0;last\r\nX-Sum: 1\r\n\r\n"
    with door.connect() as c:
        c.send(chunked(chunks) + LIVE)
        assert c.read().json["event_id"] == "e-3"
        assert c.read().status == 200


def test_64_kib_of_headers_are_431(door):
    with door.connect() as c:
        c.send(b"GET /health/live HTTP/1.1\r\n" + HOST)
        c.send(b"".join(b"X-%d: %s\r\n" % (i, b"y" * 1000) for i in range(64)) + b"\r\n" + LIVE)
        answer = c.read()
        assert answer.status == 431 and answer.slug == "head-too-large"
        c.assert_closed()


def test_a_hundred_headers_are_431(door):
    head = b"".join(b"X-%d: y\r\n" % i for i in range(100))
    assert door.ask(b"GET /health/live HTTP/1.1\r\n" + HOST + head + b"\r\n").status == 431


def test_other_versions_are_505(door):
    with door.connect() as c:
        c.send(b"PRI /x HTTP/2.0\r\n\r\n")
        assert c.read().status == 505
        c.assert_closed()


# ---- bodies and their limits -----------------------------------------------------------------


def test_100_continue_comes_before_the_body(door):
    body = event(9)
    head, _ = post(body, b"Expect: 100-continue").split(b"\r\n\r\n", 1)
    with door.connect() as c:
        c.send(head + b"\r\n\r\n")
        assert c.read().status == 100
        c.send(body)
        assert c.read().json["event_id"] == "e-9"
        # Whoever has begun with the body does not wait for a 100, and gets none.
        whole = post(b" " * 30000 + body, b"Expect: 100-continue")
        c.send(whole[:1000])
        c.send(whole[1000:])
        assert c.read().status == 202
        c.send(LIVE)
        assert c.read().status == 200


@pytest.mark.parametrize("head, status", [
    (b"POST /nowhere HTTP/1.1\r\n" + HOST, 404),
    (b"DELETE /events HTTP/1.1\r\n" + HOST, 405),
    (b"POST /events HTTP/1.1\r\n" + HOST + b"Content-Type: text/plain\r\n", 415),
    (b"POST /events?what=1 HTTP/1.1\r\n" + HOST, 400)])
def test_a_refusal_comes_instead_of_100_continue(door, head, status):
    with door.connect() as c:
        c.send(head + b"Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n")
        answer = c.read()
        assert answer.status == status and answer.headers["connection"] == "close"
        c.assert_closed()


def test_a_declared_body_over_the_limit_is_413_before_it_is_sent(door):
    head = b"POST /events HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n"
    for size in (64 * 1024 + 1, 10**12, 10**30):
        with door.connect() as c:
            c.send(head % size)
            answer = c.read()
            assert answer.status == 413 and answer.slug == "too-large"
            c.assert_closed()


def test_a_client_that_sends_all_of_a_large_body_still_reads_the_413(door):
    with door.connect() as c:
        c.send(post(b"x" * (4 * 1024 * 1024)))
        assert c.read().status == 413
        c.assert_closed()


def test_a_chunked_body_over_the_limit_is_413(door):
    piece = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    with door.connect() as c:
        c.send(chunked(piece * 20))
        answer = c.read()
        assert answer.status == 413 and answer.slug == "too-large"
        c.assert_closed()


def test_a_body_at_the_limit_is_read(door):
    body = event(1).ljust(64 * 1024)
    assert door.ask(post(body)).status == 202
    assert door.ask(chunked(pieces(body, 65536))).status == 202


def test_small_refused_bodies_keep_the_connection(door):
    with door.connect() as c:
        c.send(post(b"[]", path=b"/nowhere") + post(b"[]", media=b"text/plain") + LIVE)
        assert [c.read().status for _ in range(3)] == [404, 415, 200]


# ---- methods, paths, headers -----------------------------------------------------------------


def test_404_and_405_with_allow(door):
    answer = door.ask(b"GET /nowhere HTTP/1.1\r\n" + HOST + b"\r\n")
    assert answer.status == 404 and answer.slug == "not-found"
    assert answer.headers["content-type"] == "application/problem+json"
    answer = door.ask(b"DELETE /health/live HTTP/1.1\r\n" + HOST + b"\r\n")
    assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD"
    assert door.ask(b"BREW /health/live HTTP/1.1\r\n" + HOST + b"\r\n").status == 405


def test_head_is_get_without_its_body(door):
    with door.connect() as c:
        c.send(LIVE)
        size = c.read().headers["content-length"]
        c.send(LIVE.replace(b"GET", b"HEAD") + b"HEAD /nowhere HTTP/1.1\r\n" + HOST + b"\r\n" + LIVE)
        answer = c.read(head_only=True)
        assert answer.status == 200 and answer.headers["content-length"] == size
        assert c.read(head_only=True).status == 404
        assert c.read().status == 200


def test_http_1_0_closes_unless_asked(door):
    with door.connect() as c:
        c.send(b"GET /health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert c.read().headers["connection"] == "keep-alive"
        c.send(b"GET /health/live HTTP/1.0\r\n\r\n")
        assert c.read().headers["connection"] == "close"
        c.assert_closed()


def test_connection_close_is_obeyed(door):
    with door.connect() as c:
        c.send(LIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + LIVE)
        assert c.read().headers["connection"] == "close"
        c.assert_closed()


def test_every_answer_has_a_correlation_id(door):
    trace = b"4bf92f3577b34da6a3ce929d0e0e4736"
    parent = b"traceparent: 00-" + trace + b"-00f067aa0ba902b7-01\r\n"
    live = b"GET /health/live HTTP/1.1\r\n" + HOST

    def correlation(*headers):
        return door.ask(live + b"".join(headers) + b"\r\n").headers["x-correlation-id"]

    assert correlation(b"X-Correlation-Id: my-id\r\n") == "my-id"
    assert correlation(b"X-Correlation-Id: my-id\r\n", parent) == "my-id"
    assert correlation(parent) == trace.decode()
    made = {correlation() for _ in range(5)} | {correlation(b"X-Correlation-Id: two words\r\n")}
    assert len(made) == 6 and all(re.fullmatch("[0-9a-f]{32}", one) for one in made)


def test_events_take_the_requests_correlation_id(door):
    answer = door.ask(post(event(1), b"X-Correlation-Id: my-id"))
    assert answer.json["correlation_id"] == answer.headers["x-correlation-id"] == "my-id"
    answer = door.ask(post(event(1)))
    assert answer.json["correlation_id"] == answer.headers["x-correlation-id"]


def test_the_query_is_checked(door):
    answer = door.ask(post(b"[]", path=b"/events?atomci=true"))
    assert answer.status == 400 and "atomic" in answer.json["detail"]
    assert door.ask(post(b"[]", path=b"/events?atomic=maybe")).slug == "invalid-query"
    assert door.ask(post(b"[]", path=b"/events?atomic=true&atomic=true")).status == 400
    assert door.ask(post(b"[]", path=b"/events?atomic=%7")).status == 400
    assert door.ask(post(event(1), path=b"/events?atomic=tr%75e")).status == 202


@pytest.mark.parametrize("media, status", [
    (b"application/json; charset=utf-8", 202), (b"APPLICATION/JSON;charset=\"UTF-8\"", 202),
    (b"application/x-ndjson", 202), (b"application/json ; x=y", 202), (b"text/plain", 415),
    (b"application/json; charset=latin1", 415), (b"application/jsonx", 415)])
def test_the_media_type_is_checked(door, media, status):
    answer = door.ask(post(event(1), media=media))
    assert answer.status == status
    if status == 415:
        assert "application/json, application/x-ndjson" in answer.json["detail"]


def test_a_body_without_media_type_is_json(door):
    body = event(1)
    head = b"POST /events HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(body)
    assert door.ask(head + body).status == 202


def test_compressed_bodies_are_415(door):
    assert door.ask(post(event(1), b"Content-Encoding: gzip")).status == 415


# ---- POST /events ----------------------------------------------------------------------------


def test_batches_are_answered_with_counts(door):
    answer = door.ask(post(b"[" + event(1) + b",{\"event_id\":5}," + event(2) + b"]"))
    assert answer.status == 202 and answer.json["accepted"] == 2
    assert answer.json["rejected"][0]["index"] == 1
    assert "#/1/event_id" in [e["pointer"] for e in answer.json["rejected"][0]["errors"]]
    lines = event(1) + b"\n\n" + event(2) + b"\n{\n"
    answer = door.ask(post(lines, media=b"application/x-ndjson"))
    assert answer.json["accepted"] == 2 and answer.json["rejected"][0]["index"] == 2


def test_nothing_good_is_422(door):
    answer = door.ask(post(b"{\"event_id\":5}"))
    assert answer.status == 422 and answer.slug == "invalid-event"
    assert "#/event_id" in [e["pointer"] for e in answer.json["errors"]]
    answer = door.ask(post(b"[{\"event_id\":5}]"))
    assert answer.status == 422 and answer.json["rejected"][0]["index"] == 0


def test_atomic_is_all_or_nothing(door):
    before = door.metric("events_received_total")
    answer = door.ask(post(b"[" + event(1) + b",{}]", path=b"/events?atomic=true"))
    assert answer.status == 422 and answer.json["rejected"][0]["index"] == 1
    assert door.metric("events_received_total") == before
    answer = door.ask(post(b"[" + event(1) + b"," + event(2) + b"]", path=b"/events?atomic=true"))
    assert answer.status == 202
    assert door.metric("events_received_total") == before + 2


def test_bad_json_is_400_with_its_place(door):
    answer = door.ask(post(b"{\"event_id\":\n ?}"))
    assert answer.status == 400 and answer.slug == "invalid-json"
    assert "line 2, column 2" in answer.json["detail"]


def test_too_many_events_are_413(door):
    answer = door.ask(post(b"[" + b",".join(event(i) for i in range(101)) + b"]"))
    assert answer.status == 413 and answer.slug == "too-many-events"


def test_more_than_fits_in_flight_is_503(start):
    door = start("--inflight-max", "1")
    answer = door.ask(post(b"[" + event(1) + b"," + event(2) + b"]"))
    assert answer.status == 503 and answer.slug == "too-many-in-flight"
    assert answer.headers["retry-after"] == "1"
    assert door.ask(post(event(1))).status == 202


# ---- deadlines -------------------------------------------------------------------------------


def test_an_idle_connection_is_closed(start):
    door = start("--idle-timeout", "300ms")
    with door.connect() as fresh, door.connect() as used:
        used.send(LIVE)
        assert used.read().status == 200
        fresh.assert_closed()
        used.assert_closed()


def dribble(client, data):
    """Sends byte by byte until the server answers; returns how many bytes it took."""
    client.socket.settimeout(0.02)
    try:
        for i in range(len(data)):
            client.send(data[i:i + 1])
            with contextlib.suppress(socket.timeout):
                assert client.fill()
                return i
    finally:
        client.socket.settimeout(DEADLINE)
    raise AssertionError("the server waited for all of it")


ENDLESS = b"X: " + b"y" * 3000


def test_a_stalled_or_dribbled_head_is_408(start):
    door = start("--head-timeout", "500ms", "--idle-timeout", "60s")
    with door.connect() as stalled, door.connect() as dribbled:
        stalled.send(b"GET /health/live HT")
        dribbled.send(b"GET /health/live HTTP/1.1\r\n" + HOST)
        dribble(dribbled, ENDLESS)
        for c in (stalled, dribbled):
            answer = c.read()
            assert answer.status == 408 and answer.slug == "request-timeout"
            c.assert_closed()


@pytest.mark.parametrize("head", [
    b"POST /events HTTP/1.1\r\n" + HOST + b"Content-Length: 5000\r\n\r\n",
    b"POST /events HTTP/1.1\r\n" + HOST + b"Content-Length: 50000\r\n\r\n",
    b"POST /events HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1000\r\n"])
def test_a_stalled_or_dribbled_body_is_408(start, head):
    door = start("--body-timeout", "500ms", "--head-timeout", "60s", "--idle-timeout", "60s")
    with door.connect() as stalled, door.connect() as dribbled:
        stalled.send(head + b"{")
        dribbled.send(head)
        dribble(dribbled, ENDLESS)
        for c in (stalled, dribbled):
            answer = c.read()
            assert answer.status == 408 and answer.slug == "request-timeout"
            c.assert_closed()


def test_a_client_that_never_reads_is_cut_off(start):
    door = start("--write-timeout", "500ms")
    with door.connect(receive_buffer=4096) as c:
        c.socket.setblocking(False)
        request = b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n"
        with contextlib.suppress(BlockingIOError, ConnectionError):
            for _ in range(20000):
                c.socket.send(request)
        # The one connection left is the one that asks.
        wait_until(lambda: door.metric("http_connections") <= 1, "the connection to be cut off")
        assert door.ask(LIVE).status == 200


def test_a_slow_reader_gets_everything(start_small):
    door = start_small()
    with door.connect(receive_buffer=4096) as c:
        c.send((b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n") * 10 + LIVE)
        sizes = {len(c.read().body) for _ in range(10)}
        assert sizes == {256 * 1024}
        assert c.read().json == {"status": "alive"}


# ---- clients that go away --------------------------------------------------------------------


def test_a_half_closed_client_is_answered(door):
    with door.connect() as c:
        c.send(post(event(1)) + LIVE)
        c.socket.shutdown(socket.SHUT_WR)
        assert c.read().status == 202
        assert c.read().status == 200
        c.assert_closed()


def test_a_request_cut_short_is_not_answered(door):
    for part in (b"GET /health", post(event(1))[:-1], chunked(b"5\r\n{")):
        with door.connect() as c:
            c.send(part)
            c.socket.shutdown(socket.SHUT_WR)
            c.assert_closed()


def reset(client):
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.socket.close()


def test_events_of_clients_that_left_are_stored(start):
    door = start()
    before = door.metric("events_received_total")
    clients = [door.connect() for _ in range(300)]
    for i, c in enumerate(clients):
        c.send(post(event(i)))
    for i, c in enumerate(clients):
        if i % 2 == 0:  # a reset instead of an orderly end
            # It may overtake bytes that nobody has read yet, so the answer must be there.
            c.socket.recv(1, socket.MSG_PEEK)
            reset(c)
        c.socket.close()
    wait_until(lambda: door.metric("events_received_total") == before + 300, "300 events")
    wait_until(lambda: door.metric("http_connections") <= 1, "all connections to be gone")


def test_events_are_stored_although_300_clients_leave_during_their_commit(start_small):
    door = start_small("--publish-delay", "500ms")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(door.connect()) for _ in range(300)]
        for i, c in enumerate(clients):
            c.send(post(event(i)))
        # A reset may overtake bytes that nobody has read yet, so all must have been read.
        wait_until(lambda: door.metric("intake_inflight_messages") +
                   door.metric("events_received_total") >= 300, "the requests to be read")
        for i, c in enumerate(clients):
            (reset if i % 2 == 0 else Client.close)(c)
    wait_until(lambda: door.metric("events_received_total") == 300, "300 events")
    wait_until(lambda: door.metric("http_connections") <= 1, "all connections to be gone")
    assert door.ask(post(event(1))).status == 202


def test_clients_that_leave_while_a_handler_runs_do_no_harm(start_small):
    door = start_small("--executors", "2")
    clients = [door.connect() for _ in range(100)]
    for c in clients:
        c.send(b"GET /slow?ms=5 HTTP/1.1\r\n" + HOST + b"\r\n")
    for c in clients:
        reset(c)
    wait_until(lambda: door.metric("http_connections") <= 1, "all connections to be gone")
    assert door.ask(b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n").status == 200


def test_a_handler_may_read_the_request_of_a_client_that_left(start_small):
    door = start_small("--executors", "1", "--loops", "1")
    with door.connect() as first, door.connect() as gone, door.connect() as third:
        first.send(b"GET /slow?ms=500 HTTP/1.1\r\n" + HOST + b"\r\n")
        gone.send(b"PUT /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 200000\r\n\r\n" +
                  b"x" * 200000)
        third.send(LIVE)
        assert third.read().status == 200
        # One loop reads all; the executor is still busy with the first when the second is gone.
        reset(gone)
        third.send(b"PUT /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n" +
                   b"y" * 100000)
        assert first.read().status == 200
        assert third.read().body == b"y" * 100000


def test_clients_that_leave_at_once_lose_no_event_that_was_read(start):
    door = start()
    for i in range(300):
        with door.connect() as c:
            c.send(post(event(i)))
    wait_until(lambda: door.metric("http_connections") <= 1, "all connections to be gone")
    # Sent before the end of the stream, so each one has been read.
    assert door.metric("events_received_total") == 300


# ---- many connections ------------------------------------------------------------------------


def test_ten_thousand_idle_connections(start):
    count, spare = 10000, 200
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < count + spare:
        pytest.skip(f"the hard limit of open files is {hard}, {count + spare} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    door = start("--connections-max", "12000", "--connections-per-ip-max", "12000",
                 "--idle-timeout", "10m")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(door.connect()) for _ in range(count)]
        wait_until(lambda: door.metric("http_connections") > count, "all connections")
        for c in clients[::100]:
            c.send(post(event(1)))
        assert {c.read().status for c in clients[::100]} == {202}
        busy = door.cpu_seconds()
        time.sleep(1)  # a window to measure in
        assert door.cpu_seconds() - busy < 0.5
    wait_until(lambda: door.metric("http_connections") <= 1, "all connections to be gone")


def test_out_of_descriptors_it_waits_and_recovers(start):
    door = start("--loops", "1", descriptors=64)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(door.connect()) for _ in range(100)]
        wait_until(lambda: b"cannot accept connections" in door.log_path.read_bytes(),
                   "the descriptors to run out")
        busy = door.cpu_seconds()
        time.sleep(1)  # a window to measure in
        assert door.cpu_seconds() - busy < 0.5, "it spins"
        clients[0].send(LIVE)
        assert clients[0].read().status == 200
        for c in clients[:80]:  # the other 20 have room, whatever else it has opened
            c.socket.close()
        clients[99].send(LIVE)
        assert clients[99].read().status == 200
    assert door.ask(LIVE).status == 200


def admit(door, stack):
    """A connection that is answered; connections that have just ended may still count."""
    def attempt():
        c = stack.enter_context(door.connect())
        c.send(LIVE)
        if c.read().status == 200:
            return c
        c.socket.close()
        return None
    return wait_until(attempt, "room for a connection")


def test_connections_over_the_cap_are_told_503(start):
    door = start("--connections-max", "5")
    with contextlib.ExitStack() as stack:
        clients = [admit(door, stack) for _ in range(5)]
        with door.connect() as c:
            c.send(LIVE)
            answer = c.read()
            assert answer.status == 503 and answer.slug == "too-many-connections"
            c.assert_closed()
        clients[0].socket.close()
        wait_until(lambda: door.ask(LIVE).status == 200, "room for another connection")


def test_one_address_has_its_own_cap(start):
    door = start("--connections-per-ip-max", "3")
    with contextlib.ExitStack() as stack:
        clients = [admit(door, stack) for _ in range(3)]
        with door.connect() as c:
            answer = c.read()
            assert answer.slug == "too-many-connections" and answer.headers["retry-after"] == "1"
            c.assert_closed()
        clients[0].socket.close()
        wait_until(lambda: door.ask(LIVE).status == 200, "room for another connection")


def test_too_many_waiting_look_ups_are_503(start_small):
    door = start_small("--executors", "1", "--executor-queue-max", "1")
    slow = b"GET /slow?ms=1000 HTTP/1.1\r\n" + HOST + b"\r\n"
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(door.connect()) for _ in range(5)]
        for c in clients:
            c.send(slow)
        answers = [c.read() for c in clients]
        statuses = sorted(a.status for a in answers)
        assert statuses[0] == 200 and statuses[-1] == 503
        assert all(a.headers["retry-after"] == "1" for a in answers if a.status == 503)


# ---- addresses -------------------------------------------------------------------------------


def test_ipv6_is_served(start):
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", free_port()))
        except OSError:
            pytest.skip("this machine has no IPv6")
    assert start(host="::1").ask(post(event(1))).status == 202


@pytest.mark.parametrize("address", ["0.0.0.0", "[::]"])
def test_open_addresses_are_refused(tmp_path, address):
    command = [SMALL] if IS_SMALL else [PROGRAM, "serve"]
    command += ["--data", str(tmp_path / "data"), "--metrics-listen", f"127.0.0.1:{free_port()}",
                "--listen", f"{address}:{free_port()}"]
    result = subprocess.run(command, capture_output=True, timeout=DEADLINE, text=True,
                            env=ENVIRONMENT)
    assert result.returncode == 78
    assert "--allow-open" in result.stderr


def test_open_addresses_are_served_when_asked_for(start):
    assert start("--allow-open", host="0.0.0.0").ask(LIVE).status == 200


def test_a_taken_port_is_named(tmp_path, door):
    command = [SMALL] if IS_SMALL else [PROGRAM, "serve"]
    command += ["--data", str(tmp_path / "data"), "--metrics-listen", f"127.0.0.1:{free_port()}",
                "--listen", f"127.0.0.1:{door.port}"]
    result = subprocess.run(command, capture_output=True, timeout=DEADLINE, text=True,
                            env=ENVIRONMENT)
    assert result.returncode != 0
    assert f"127.0.0.1:{door.port}" in result.stderr


def test_each_door_has_its_own_routes(door):
    with Client("127.0.0.1", door.metrics_port) as c:
        c.send(post(event(1)) + b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert c.read().status == 404
        assert b"http_requests_total{" in c.read().body


# ---- the end ---------------------------------------------------------------------------------


def see_what_was_sent(clients):
    """Answers in every loop tell that the loops have seen what was sent before."""
    for c in clients:
        c.send(LIVE)
        assert c.read().status == 200


def test_drain_closes_the_idle_and_answers_the_rest(start):
    door = start()
    whole = post(event(1))
    with contextlib.ExitStack() as stack:
        # New connections go to the loop with the fewest: four idle ones are some in each loop.
        idle = [admit(door, stack) for _ in range(4)]
        half, body = admit(door, stack), admit(door, stack)
        half.send(LIVE[:20])
        body.send(whole[:-5])
        see_what_was_sent(idle)
        door.term()
        for c in idle:
            c.assert_closed()
        half.send(LIVE[20:])
        answer = half.read()
        assert answer.status == 200 and answer.headers["connection"] == "close"
        half.assert_closed()
        body.send(whole[-5:])
        answer = body.read()
        assert answer.status == 202 and answer.headers["connection"] == "close"
        body.assert_closed()
    assert door.process.wait(DEADLINE) == 0
    with pytest.raises(OSError):
        door.connect()


def test_drain_answers_probes_not_ready_until_it_is_over(start):
    door = start()
    whole = post(event(1))
    with contextlib.ExitStack() as stack:
        body = admit(door, stack)
        body.send(whole[:-5])
        see_what_was_sent([admit(door, stack) for _ in range(4)])
        door.term()
        wait_for_refusal(door)
        for _ in range(3):
            with Client("127.0.0.1", door.metrics_port) as probe:
                probe.send(LIVE.replace(b"/health/live", b"/health/ready"))
                assert probe.read().status == 503
        body.send(whole[-5:])
        answer = body.read()
        assert answer.status == 202 and answer.headers["connection"] == "close"
        body.assert_closed()
    assert door.process.wait(DEADLINE) == 0


def wait_for_refusal(door):
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        try:
            door.connect().close()
        except OSError:
            return
    raise AssertionError("the main door stays open")


def test_drain_waits_for_handlers(start_small):
    door = start_small()
    with contextlib.ExitStack() as stack:
        c = stack.enter_context(door.connect())
        c.send(b"GET /slow?ms=1000 HTTP/1.1\r\n" + HOST + b"\r\n" + LIVE)
        see_what_was_sent([admit(door, stack) for _ in range(4)])
        door.term()
        answer = c.read()
        assert answer.status == 200 and answer.headers["connection"] == "close"
        c.assert_closed()
    assert door.process.wait(DEADLINE) == 0


def test_drain_ends_at_its_deadline(start):
    door = start("--drain-timeout", "500ms", "--head-timeout", "10m")
    with contextlib.ExitStack() as stack:
        c = stack.enter_context(door.connect())
        c.send(b"GET /health/live HT")
        see_what_was_sent([admit(door, stack) for _ in range(4)])
        door.term()
        assert door.process.wait(DEADLINE) == 0
