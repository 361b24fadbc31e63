#!/usr/bin/python3
"""Runs the benchmarks of a release build and prints medians.

Micro-benchmarks (one thread, no network): flattening, one pattern, queue append, settle.
End to end: a server of its own in a temporary folder; single-event POSTs on 64 connections with wrk
(when it is installed), and NDJSON batches with `eventflow send`; a run counts until every event is
processed. Load generator and server share the machine. Quote medians and ratios, never one run.
"""
import argparse
import json
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MICRO = ["flat", "pattern", "queue", "store"]
MICRO_WITH_FILES = {"queue", "store"}


def free_port(first=19080):
    for port in range(first, 32000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    sys.exit("bench: no free port below 32000")


class Server:
    def __init__(self, binary, folder):
        port = free_port()
        metrics = free_port(port + 1)
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [binary, "serve", "--listen", f"127.0.0.1:{port}", "--metrics-listen",
             f"127.0.0.1:{metrics}", "--data", f"{folder}/data", "--log-level", "error"])
        for _ in range(500):
            try:
                self.call("/health/ready")
                return
            except OSError:
                time.sleep(0.02)
        sys.exit("bench: the server did not start")

    def call(self, path, body=None):
        request = urllib.request.Request(self.url + path)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def wait_processed(self):
        while True:
            summary = self.call("/metrics/summary")
            if summary["waiting"] == 0:
                return summary["processed"]
            time.sleep(0.02)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def campaigns(count):
    """Half of the purchases match one of them; the rest of the campaigns are near misses."""
    yield {"id": "c-0", "name": "Over 50", "rules": {
        "event_type": ["purchase"], "payload": {"amount": [{"numeric": [">", 50]}]}}}
    for i in range(1, count):
        yield {"id": f"c-{i}", "name": f"Segment {i}", "rules": {
            "event_type": ["purchase"], "customer_id": [f"vip-{i}"],
            "payload": {"currency": ["USD"], "amount": [{"numeric": [">=", i]}]}}}


def with_server(binary, count, run):
    with tempfile.TemporaryDirectory(prefix="eventflow-bench-") as folder:
        server = Server(binary, folder)
        try:
            for campaign in campaigns(count):
                server.call("/campaigns", campaign)
            return run(server, Path(folder))
        finally:
            server.stop()


def single_posts(seconds):
    def run(server, _folder):
        began = time.monotonic()
        subprocess.run(["wrk", "-t1", "-c64", f"-d{seconds}s", "-s", ROOT / "bench/post.lua",
                        server.url], check=True, stdout=subprocess.DEVNULL)
        processed = server.wait_processed()
        return processed / (time.monotonic() - began)
    return run


def batches(binary, events):
    def run(server, folder):
        path = folder / "events.ndjson"
        with open(path, "w") as out:
            for i in range(events):
                out.write(f'{{"event_id":"b-{i}","event_type":"purchase","customer_id":"c{i % 997}",'
                          f'"timestamp":"2026-11-21T10:00:00Z","source":"bench","payload":{{"amount":'
                          f'{i % 100}.5,"currency":"USD","order_id":"o-{i}","items":[{{"sku":"a-1",'
                          f'"qty":2,"price":10.5}},{{"sku":"b-2","qty":1,"price":3.25}}]}}}}\n')
        began = time.monotonic()
        subprocess.run([binary, "send", path, "--batch", "100", "--quiet", "--url", server.url],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        processed = server.wait_processed()
        return processed / (time.monotonic() - began)
    return run


def print_rate(what, values):
    print(f"{what:<58} {statistics.median(values):>10,.0f} events/s   "
          f"(min {min(values):,.0f}, max {max(values):,.0f}, {len(values)} runs)", flush=True)


def run_micro(build, name):
    with tempfile.TemporaryDirectory(prefix="eventflow-bench-") as folder:
        files = [folder] if name in MICRO_WITH_FILES else []
        subprocess.run([build / "bench" / f"bench_{name}", *files], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--only", choices=["micro", "end-to-end"])
    options = parser.parse_args()
    binary = options.build / "eventflow"
    if options.only != "end-to-end":
        for name in MICRO:
            print(f"== {name}", flush=True)
            run_micro(options.build, name)
    if options.only == "micro":
        return
    print("== end to end: accepted and processed, load generator included")
    for count in (10, 1000):
        if shutil.which("wrk"):
            print_rate(f"single-event POSTs, 64 connections, {count} campaigns",
                       [with_server(binary, count, single_posts(options.seconds))
                        for _ in range(options.runs)])
        else:
            print("single-event POSTs: skipped, wrk is not installed")
        print_rate(f"NDJSON batches of 100, one sender, {count} campaigns",
                   [with_server(binary, count, batches(binary, 200000))
                    for _ in range(options.runs)])


if __name__ == "__main__":
    main()
