#!/usr/bin/python3
"""A short scenario: start, three campaigns, some thousand shop events, who matched, where each
event went. Everything happens in a temporary folder on free ports and stops by itself.

With --data FILE (a purchase history: customer, date, CDs, dollars a line) it sends that instead,
twice, and compares the matches with a plain count of the file.
"""
import argparse
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
SHOP = [
    {"id": "credit-over-50", "name": "$10 credit for every purchase over $50",
     "rules": {"event_type": ["purchase"],
               "payload": {"amount": [{"numeric": [">", 50]}], "currency": ["USD"]}},
     "then": [{"type": "credit", "amount": 10, "unit": "USD"}]},
    {"id": "welcome", "name": "Welcome e-mail to new signups",
     "rules": {"event_type": ["signup"]}, "then": [{"type": "email", "data": {"template": "welcome"}}]},
    {"id": "full-cart", "name": "Free shipping for carts with 5 items or more",
     "rules": {"event_type": ["cart_updated"], "payload": {"items": [{"numeric": [">=", 5]}]}},
     "then": [{"type": "coupon", "data": {"code": "FREESHIP"}}]},
]
HISTORY = [
    {"id": "over-50", "name": "Purchases over $50",
     "rules": {"payload": {"dollars": [{"numeric": [">", 50]}]}}},
    {"id": "five-cds", "name": "Five CDs or more at once",
     "rules": {"payload": {"cds": [{"numeric": [">=", 5]}]}}},
    {"id": "one-customer", "name": "Everything customer 14048 buys", "rules": {"customer_id": ["14048"]}},
]


def free_port(first=18080):
    for port in range(first, 32000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    sys.exit("demo: no free port below 32000")


class Demo:
    def __init__(self, binary, folder):
        self.binary = binary
        port = free_port()
        metrics = free_port(port + 1)
        self.url = f"http://127.0.0.1:{port}"
        self.folder = Path(folder)
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(
            [binary, "serve", "--listen", self.url[7:], "--metrics-listen", f"127.0.0.1:{metrics}",
             "--data", str(self.folder / "data")], stdout=self.log, stderr=self.log)

    def call(self, path, body=None, method=None):
        request = urllib.request.Request(self.url + path, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def wait_ready(self):
        for _ in range(500):
            try:
                return self.call("/health/ready")
            except OSError:
                time.sleep(0.02)
        sys.exit(f"demo: the server did not start:\n{(self.folder / 'log').read_text()}")

    def send(self, events):
        began = time.monotonic()
        subprocess.run([self.binary, "send", str(events), "--url", self.url], check=True)
        while self.call("/metrics/summary")["waiting"] > 0:
            time.sleep(0.02)
        return time.monotonic() - began

    def matches_by_campaign(self):
        """Counted from the database itself, which may be read while the program runs."""
        connection = sqlite3.connect(f"file:{self.folder}/data/eventflow.db?mode=ro", uri=True)
        return dict(connection.execute(
            "SELECT campaign_id, count(*) FROM campaign_matches GROUP BY 1").fetchall())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.log.close()
        return code


def print_matches(campaigns, counts, wanted=None):
    print(f"\n  {'campaign':<16} {'matches':>8}  what it is")
    for c in campaigns:
        count = counts.get(c["id"], 0)
        check = ""
        if wanted is not None:
            check = "  = the file" if wanted[c["id"]] == count else f"  BUT THE FILE HAS {wanted[c['id']]}"
        print(f"  {c['id']:<16} {count:>8}  {c['name']}{check}")


def print_books(demo):
    s = demo.call("/metrics/summary")
    print(f"\nWhere did each event go: {s['received']} accepted = {s['processed']} processed + "
          f"{s['duplicate']} duplicate + {s['failed']} failed + {s['waiting']} waiting")
    return s


def count_file(path):
    rows = [line.split() for line in open(path)]
    return {"over-50": sum(float(r[3]) > 50 for r in rows), "five-cds": sum(int(r[2]) >= 5 for r in rows),
            "one-customer": sum(r[0] == "14048" for r in rows)}


def play(demo, options):
    campaigns = HISTORY if options.data else SHOP
    demo.wait_ready()
    print(f"1. eventflow runs at {demo.url}, data in {demo.folder}/data")
    for campaign in campaigns:
        demo.call("/campaigns", campaign)
    print(f"2. {len(campaigns)} campaigns are active")
    events = demo.folder / "events.ndjson"
    source = ["--from", options.data] if options.data else ["--count", str(options.count)]
    with open(events, "w") as out:
        subprocess.run([sys.executable, SCRIPTS / "producer.py", *source], stdout=out, check=True)
    print("3. sending", options.data or f"{options.count} generated shop events", flush=True)
    seconds = demo.send(events)
    wanted = count_file(options.data) if options.data else None
    counts = demo.matches_by_campaign()
    print_matches(campaigns, counts, wanted)
    first = print_books(demo)
    print(f"{first['processed']} events accepted, processed and matched in {seconds:.2f} s")
    if not options.data:
        return True
    print("\n4. sending the same file a second time", flush=True)
    demo.send(events)
    again = print_books(demo)
    is_same = demo.matches_by_campaign() == counts and again["processed"] == first["processed"]
    print("Nothing changed but the duplicates." if is_same else "SOMETHING CHANGED: that is a bug.")
    return is_same and counts == {k: v for k, v in wanted.items() if v}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--binary", default="build/release/eventflow")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--data", help="a purchase history to send instead")
    options = parser.parse_args()
    if options.data and not Path(options.data).exists():
        sys.exit(f"demo: there is no file {options.data}")
    with tempfile.TemporaryDirectory(prefix="eventflow-demo-") as folder:
        demo = Demo(options.binary, folder)
        try:
            is_good = play(demo, options)
        finally:
            code = demo.stop()
    print(f"\nStopped (exit code {code}). Try it yourself: make run")
    return 0 if is_good and code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
