"""A server of one's own on a free port and a temporary folder, stopped by pid; what all tests of the
whole program share."""
import json
import os
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BINARY = os.environ.get("EF_BINARY", str(ROOT / "build/checked/eventflow"))
# A shell starts its background jobs with SIGINT ignored, and whatever they start inherits that: with
# a handler here the programs under test begin with the system's own way again.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored

DEADLINE = 30  # seconds for any condition; sanitizer builds on busy machines are slow
_next_port = [20000 + os.getpid() % 10000]


def free_port():
    """A port below the ephemeral range that nobody listens on."""
    while True:
        _next_port[0] = 20000 + (_next_port[0] - 19999) % 10000
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", _next_port[0]))
                return _next_port[0]
            except OSError:
                continue


def wait_until(condition, what, seconds=DEADLINE):
    """Polls until condition() is true; its value is returned."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for: {what}")
        time.sleep(0.01)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:400]!r}"


class Server:
    """One `eventflow serve` process."""

    def __init__(self, folder, *flags, env=None):
        self.folder, self.flags, self.env = Path(folder), list(flags), env or {}
        self.port, self.metrics_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = self.folder.parent / f"{self.folder.name}.log"
        self.process = None

    def start(self, wait=True):
        command = [BINARY, "serve", "--listen", f"127.0.0.1:{self.port}", "--metrics-listen",
                   f"127.0.0.1:{self.metrics_port}", "--data", str(self.folder), *self.flags]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log,
                                            env={**os.environ, **self.env})
        if wait:
            wait_until(self.is_ready, "the server to be ready: " + " ".join(command))
        return self

    def is_ready(self):
        assert self.process.poll() is None, f"the server ended: {self.log()}"
        try:
            return self.get("/health/ready").status == 200
        except OSError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait(DEADLINE)

    def stop(self):
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def log_lines(self):
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]

    def request(self, method, path, body=None, headers=None, content_type="application/json",
                url=None):
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        data = body.encode() if isinstance(body, str) else body
        request = urllib.request.Request((url or self.url) + path, data=data, method=method)
        if data is not None:
            request.add_header("Content-Type", content_type)
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body, **options):
        return self.request("POST", path, body, **options)

    def send(self, *events):
        """Posts events (NDJSON) and expects every one to be accepted."""
        lines = "\n".join(json.dumps(e) for e in events)
        answer = self.post("/events", lines, content_type="application/x-ndjson")
        assert answer.status == 202 and answer.json["accepted"] == len(events), answer
        return answer

    def summary(self):
        return self.get("/metrics/summary").json

    def wait_idle(self):
        """Waits until everything accepted has an outcome; returns the summary."""
        def idle():
            summary = self.summary()
            return summary if summary["waiting"] == 0 else None
        return wait_until(idle, "nothing to be waiting")

    def sql(self, query, *args, file="eventflow.db"):
        connection = sqlite3.connect(f"file:{self.folder / file}?mode=ro", uri=True, timeout=30)
        try:
            return connection.execute(query, args).fetchall()
        finally:
            connection.close()


def run(*args, stdin=None, env=None, timeout=120):
    """Runs the program to its end."""
    return subprocess.run([BINARY, *map(str, args)], input=stdin, text=True, timeout=timeout,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**os.environ, **(env or {})})


def event(event_id, event_type="purchase", **members):
    return {"event_id": event_id, "event_type": event_type, **members}
