"""eventflow load: every event counted, honest latencies, an end in every case."""
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


class FakeServer:
    """Answers each POST with what answer(n) gives; n counts from 0. Everything else is 404."""

    def __init__(self, answer):
        self.answer, self.count, self.lock = answer, 0, threading.Lock()
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
                stream.read(size)
                if line.startswith(b"POST"):
                    with self.lock:
                        number, self.count = self.count, self.count + 1
                    client.sendall(self.answer(number))
                else:
                    client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def fake():
    servers = []

    def make(answer):
        servers.append(FakeServer(answer))
        return servers[-1]

    yield make
    for server in servers:
        server.socket.close()


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


def test_at_a_rate_nothing_is_sent_ahead_of_time(fake):
    _, report = load(fake(lambda _: ACCEPTED).url, "--rate", "100", "--events", "31")
    assert report["seconds"] >= 0.3 and report["accepted_events"] == 31
    assert report["processed"] is None, "the fake server has no summary"


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
    process = subprocess.Popen([BINARY, "load", "--url", server.url, "--duration", "60s", "--json"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: server.summary()["received"] > 0, "the load to begin")
    server.kill()
    out, errors = process.communicate(timeout=40)
    assert process.returncode == 69 and "gone" in errors
    assert json.loads(out)["connection_errors"] > 0


def test_ctrl_c_ends_early_with_the_report(server):
    process = subprocess.Popen([BINARY, "load", "--url", server.url, "--duration", "60s", "--json"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: server.summary()["received"] > 0, "the load to begin")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    report = json.loads(out)
    assert process.returncode == 0 and report["interrupted"] and report["accepted_events"] > 0


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
    for word in ("closed loop", "accepted", "processed", "p99.9", "counted from sending"):
        assert word in table
    quiet = run("load", "--url", server.url, "--events", "10", "--quiet")
    assert quiet.returncode == 0 and quiet.stdout == "" and quiet.stderr == ""


@pytest.mark.parametrize("flags, word", [
    (["--url", "https://127.0.0.1"], "http only"),
    (["--url", "nonsense"], "no address"),
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
