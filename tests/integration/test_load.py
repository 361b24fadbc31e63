"""eventflow load: every event counted, honest latencies, an end in every case."""
import datetime
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import BINARY, free_port, run, wait_until

ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"


def load(url, *flags):
    result = run("load", "--url", url, "--json", *flags)
    return result, json.loads(result.stdout) if result.stdout else None


def bodies(server):
    return [json.loads(row[0]) for row in
            server.sql("SELECT body FROM raw_events ORDER BY seq", file="queue.db")]


def start(url, *flags):
    return subprocess.Popen([BINARY, "load", "--url", url, "--json", *flags],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def interrupt(process):
    """Ctrl-C; exit code, report (None: there is none) and what was said."""
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    return process.returncode, json.loads(out) if out else None, errors


class FakeServer:
    """Answers each POST with what answer(n) gives; n counts from 0. GETs get books, else 404.

    arrivals: (time, body) of each POST, as they came."""

    def __init__(self, answer, books=None):
        self.answer, self.books, self.lock = answer, books, threading.Lock()
        self.count, self.looks, self.arrivals = 0, 0, []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client, client.makefile("rb") as stream:
            while line := stream.readline():
                size = 0
                while (header := stream.readline()).strip():
                    if header.lower().startswith(b"content-length:"):
                        size = int(header.split(b":")[1])
                body = stream.read(size)
                try:
                    client.sendall(self.post(body) if line.startswith(b"POST") else self.get())
                except OSError:
                    return  # nobody waits for the answer any more

    def post(self, body):
        with self.lock:
            number, self.count = self.count, self.count + 1
            self.arrivals.append((time.time(), body))
        return self.answer(number)

    def get(self):
        self.looks += 1
        if self.books is None:
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        body = json.dumps(self.books()).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.fixture
def fake():
    servers = []

    def make(*arguments):
        servers.append(FakeServer(*arguments))
        return servers[-1]

    yield make
    for server in servers:
        server.socket.close()


@pytest.fixture
def silence():
    """An answer that comes when the test is over."""
    over = threading.Event()
    yield lambda *_: over.wait(60) and ACCEPTED
    over.set()


def test_every_event_is_sent_once_and_waited_for(server):
    result, report = load(server.url, "--events", "1500", "--connections", "8", "--threads", "2")
    assert result.returncode == 0, result.stderr
    assert report["accepted_events"] == report["sent_requests"] == 1500
    assert report["processed"]["events"] == 1500 and report["processed"]["settled"]
    assert report["latency_from"] == "send time"
    assert server.summary()["processed"] == 1500, "processed when load came back"
    assert report["latency_ms"]["p50"] <= report["latency_ms"]["p99"] <= report["latency_ms"]["max"]


def test_batches_hold_whole_events_and_the_last_one_the_rest(server):
    _, report = load(server.url, "--events", "1234", "--batch", "100", "--connections", "3")
    assert report["sent_requests"] == 13 and report["accepted_events"] == 1234
    assert len({event["event_id"] for event in bodies(server)}) == 1234


def test_duplicates_are_the_same_events_again(server):
    """Not one of them is a conflict: id and body are those of an event sent earlier."""
    _, report = load(server.url, "--events", "2000", "--batch", "10", "--duplicates", "5%")
    assert 50 < report["sent_duplicates"] < 150
    assert report["processed"]["duplicate"] == report["sent_duplicates"]
    assert report["processed"]["failed"] == 0
    assert server.summary()["processed"] == 2000 - report["sent_duplicates"]


def test_the_seed_repeats_everything_but_ids_and_times(server):
    for _ in range(2):
        load(server.url, "--events", "200", "--connections", "1", "--seed", "7", "--mix",
             "purchase=70,signup=20,cart_updated=10", "--customers", "50")
    events = bodies(server)
    assert len({event["event_id"] for event in events}) == 400
    for event in events:
        del event["event_id"], event["timestamp"]
    assert events[:200] == events[200:]
    assert {event["event_type"] for event in events} == {"purchase", "signup", "cart_updated"}
    assert len({event["customer_id"] for event in events}) <= 50


def test_at_a_rate_a_stall_is_in_every_latency_it_delays(fake):
    """One connection, ten requests due within 100 ms, the first answer after 500 ms: the others
    were due long before they could be sent, and their latency says so (no coordinated omission)."""
    def answer(number):
        if number == 0:
            time.sleep(0.5)  # the stall itself, not a wait for something
        return ACCEPTED

    result, report = load(fake(answer).url, "--rate", "100", "--events", "10", "--connections", "1")
    assert result.returncode == 0 and report["latency_from"] == "intended send time"
    assert report["latency_ms"]["p50"] >= 400 and report["latency_ms"]["max"] >= 500
    result, report = load(fake(answer).url, "--events", "10", "--connections", "1")
    assert report["latency_ms"]["max"] >= 500 and report["latency_from"] == "send time"


@pytest.mark.parametrize("batch", ["1", "50"])
def test_at_a_rate_nothing_is_sent_ahead_of_time(fake, batch):
    """Each event says when it happened; the whole batch waits until its last one has."""
    server = fake(lambda _: ACCEPTED)
    _, report = load(server.url, "--rate", "100", "--events", "51", "--batch", batch)
    assert report["accepted_events"] == 51
    assert report["processed"] is None, "the fake server has no summary"
    for arrived, body in server.arrivals:
        last = json.loads(body.splitlines()[-1])["timestamp"].replace("Z", "+00:00")
        assert arrived >= datetime.datetime.fromisoformat(last).timestamp(), body


def test_what_gets_no_answer_is_in_the_latency(fake, silence):
    """Every tenth request hangs, until the server is given up: the p99 must not be that of the
    others."""
    server = fake(lambda number: silence() if number % 10 == 0 else ACCEPTED)
    result, report = load(server.url, "--rate", "100", "--events", "30", "--timeout", "300ms")
    assert result.returncode == 65 and report["timeouts"] >= 3
    assert report["accepted_events"] + report["timeouts"] == 30
    assert report["unanswered_requests"] == 0 and report["latency_ms"]["p95"] >= 300


def test_events_that_are_all_answered_early_end_the_run(fake):
    """The planned end is a limit, no part of the rate."""
    server = fake(lambda number: ACCEPTED)
    _, report = load(server.url, "--duration", "30s", "--events", "20")
    assert report["accepted_events"] == 20 and report["seconds"] < 29


def hang_up(_):
    raise ConnectionError  # the server closes the connection


def test_a_run_without_any_answer_has_a_time(fake):
    """It is counted to its end: there is no last answer."""
    _, report = load(fake(hang_up).url, "--events", "1", "--wait=false")
    assert report["lost_requests"] == 1 and 0 <= report["seconds"] < 29


def test_a_server_that_falls_silent_loses_its_rate(fake, silence):
    """Rates are counted to the planned end, not to the last answer there was."""
    server = fake(lambda number: ACCEPTED if number < 20 else silence())
    _, report = load(server.url, "--duration", "500ms", "--timeout", "200ms")
    assert 0 < report["accepted_events"] <= 20 and report["seconds"] >= 0.5
    assert 0 < report["accepted_per_second"] <= 40


def test_a_number_of_events_that_nobody_takes_is_given_up(fake, silence):
    full = b"HTTP/1.1 507 Full\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n"
    for answer in (lambda _: full, silence):
        result, report = load(fake(answer).url, "--events", "10", "--timeout", "300ms")
        assert result.returncode == 69 and "no event was accepted for 0.3 s" in result.stderr
        assert report["accepted_events"] == 0 and not report["interrupted"]


def test_without_an_answer_there_is_no_latency(fake):
    bad = b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"
    server = fake(lambda _: bad)
    result, report = load(server.url, "--events", "10")
    assert result.returncode == 65 and report["latency_ms"] is None
    table = run("load", "--url", server.url, "--events", "10").stdout
    assert "none was measured" in table and "0.00 ms" not in table


def test_a_server_that_is_full_keeps_the_connections_it_has(make_server):
    """The others are refused as soon as they stand; the run goes on with those that may stay."""
    server = make_server("--connections-per-ip-max", "8")
    result, report = load(server.url, "--connections", "32", "--duration", "700ms")
    assert result.returncode == 0, result.stderr
    assert report["accepted_events"] > 0 and report["timeouts"] == report["lost_requests"] == 0
    assert report["connection_errors"] or report["refused"], "told before or after it had sent"
    assert server.summary()["processed"] == report["accepted_events"]


def stuck_books():
    """One event of any number is done."""
    return {"processed": 1, "failed": 0, "duplicate": 0, "matches": 0, "waiting": 7}


def test_what_is_never_processed_is_no_success(fake):
    server = fake(lambda _: ACCEPTED, stuck_books)
    result, report = load(server.url, "--events", "5", "--timeout", "300ms")
    assert result.returncode == 69 and "not everything was processed" in result.stderr
    assert report["accepted_events"] == 5 and report["processed"]["waiting"] == 7
    assert not report["processed"]["settled"] and not report["interrupted"]
    assert run("load", "--url", server.url, "--events", "5", "--wait=false").returncode == 0


def test_ctrl_c_ends_the_wait_for_the_server(fake):
    server = fake(lambda _: ACCEPTED, stuck_books)
    process = start(server.url, "--events", "5")
    wait_until(lambda: server.count == 5 and server.looks > 3, "load to wait for the books")
    code, report, _ = interrupt(process)
    assert code == 0 and report["interrupted"] and not report["processed"]["settled"]


def test_after_ctrl_c_the_books_are_read_once(fake, silence):
    """Whoever wants the end does not want to wait for what was sent before."""
    server = fake(silence, stuck_books)
    process = start(server.url, "--duration", "60s", "--connections", "3")
    wait_until(lambda: server.count == 3, "the load to begin")
    looks = server.looks
    code, report, _ = interrupt(process)
    assert code == 0 and report["interrupted"] and report["unanswered_requests"] == 3
    assert report["timeouts"] == 0 and report["latency_ms"]["max"] > 0
    assert server.looks < looks + 10, "one for the report, some for live lines"


def test_ctrl_c_before_the_run_ends_at_once_without_a_report(fake, silence):
    server = fake(lambda _: ACCEPTED, lambda: silence() and {})
    process = start(server.url, "--duration", "60s")
    wait_until(lambda: server.looks == 1, "load to ask for the books")
    code, report, _ = interrupt(process)
    assert code == -signal.SIGINT and report is None and server.count == 0


@pytest.mark.parametrize("status, code", [("503 Busy", 0), ("507 Full", 65), ("400 Bad", 65)])
def test_refusals_are_counted_by_status(fake, status, code):
    """503 is a server that defends itself; anything else is for somebody to look at."""
    refusal = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n".encode()
    server = fake(lambda number: refusal if number < 3 else ACCEPTED)
    result, report = load(server.url, "--rate", "1000", "--events", "10")
    assert result.returncode == code
    counts = report["failed" if status.startswith("4") else "refused"]
    assert counts == {status[:3]: 3} and report["accepted_events"] == 7


def test_at_full_speed_refused_events_are_sent_again(fake):
    refusal = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n"
    server = fake(lambda number: refusal if number < 3 else ACCEPTED)
    result, report = load(server.url, "--events", "10", "--connections", "2")
    assert result.returncode == 0
    assert report["accepted_events"] == 10 and report["refused"] == {"503": 3}


def test_an_unreachable_server_is_exit_code_69():
    result, report = load(f"http://127.0.0.1:{free_port()}")
    assert result.returncode == 69 and report is None and "cannot connect" in result.stderr


def test_a_server_that_goes_away_ends_the_run(make_server):
    server = make_server()
    process = start(server.url, "--duration", "60s")
    wait_until(lambda: server.summary()["received"] > 0, "the load to begin")
    server.kill()
    out, errors = process.communicate(timeout=40)
    assert process.returncode == 69 and "gone" in errors
    assert json.loads(out)["connection_errors"] > 0


def test_ctrl_c_ends_early_with_the_report(server):
    process = start(server.url, "--duration", "60s")
    wait_until(lambda: server.summary()["received"] > 0, "the load to begin")
    code, report, _ = interrupt(process)
    assert code == 0 and report["interrupted"] and report["accepted_events"] > 0


def test_a_terminal_sees_the_live_line_and_a_person_the_table(server):
    terminal, tty = os.openpty()
    process = subprocess.Popen([BINARY, "load", "--url", server.url, "--duration", "1500ms"],
                               stderr=tty, stdout=subprocess.PIPE, text=True)
    os.close(tty)
    shown = b""
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:
        pass  # the other side was closed
    os.close(terminal)
    table = process.stdout.read()
    assert process.wait(30) == 0
    assert b"\r\x1b[K" in shown and b"accepted" in shown and b"p99" in shown
    assert shown.count(b"\x1b[?7l") == shown.count(b"\x1b[?7h") > 0, "a line may not wrap"
    for word in ("closed loop", "accepted", "processed", "p99.9", "counted from sending"):
        assert word in table
    quiet = run("load", "--url", server.url, "--events", "10", "--quiet")
    assert quiet.returncode == 0 and quiet.stdout == "" and quiet.stderr == ""


@pytest.mark.parametrize("flags, word", [
    (["--url", "https://127.0.0.1"], "http only"),
    (["--url", "nonsense"], "no address"),
    (["--url", "http://127.0.0.1:0"], "no address"),
    (["--timeout", "1ms"], "timeout"),
    (["--connections", "10001"], "connections"),
    (["--batch", "1001"], "batch"),
    (["--rate", "1000001"], "rate"),
    (["--duplicates", "101%"], "duplicates"),
    (["--mix", "a=0"], "mix"),
    (["--threads", "2", "--connections", "1"], "threads"),
    (["something"], "no arguments"),
])
def test_wrong_use_is_exit_code_64(flags, word):
    result = run("load", *flags)
    assert result.returncode == 64 and word in result.stderr and result.stdout == ""


def test_more_connections_than_open_files_are_refused_before_the_run():
    command = f"ulimit -n 200; exec {BINARY} load --connections 500"
    result = subprocess.run(["sh", "-c", command], text=True, stderr=subprocess.PIPE, timeout=60)
    assert result.returncode == 64 and "ulimit -n" in result.stderr
