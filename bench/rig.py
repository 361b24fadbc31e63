"""What the benchmarks run against and with: a server of one's own, `eventflow load`, nginx, the
sync shim, and the readings of /proc."""
import collections
import concurrent.futures
import contextlib
import hashlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
CONNECTIONS = 64
GOODS = ["book", "lamp", "chair", "mug", "cable", "shirt"]  # of `eventflow load`
# Not the temporary folder: that may be in memory, where a sync costs nothing.
SCRATCH = ROOT / "build/bench"


def scratch_folder():
    """Removed at the end of the block; on the disk of the checkout."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix="run-", dir=SCRATCH)


def free_port():
    """Below the ephemeral ports, so that no connection takes it meanwhile."""
    first = 19000 + os.getpid() % 5000
    for port in list(range(first, 32000)) + list(range(19000, first)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    sys.exit("bench: no free port from 19000 to 32000")


def campaigns(count):
    """Half of the purchases match the first one; the others are near misses."""
    if count == 0:
        return
    yield {"id": "c-0", "name": "Over 50", "rules": {
        "event_type": ["purchase"], "payload": {"amount": [{"numeric": [">", 50]}]}}}
    for i in range(1, count):
        yield {"id": f"c-{i}", "name": f"Segment {i}", "rules": {
            "event_type": ["purchase"], "customer_id": [f"vip-{i}"],
            "payload": {"currency": ["USD"], "amount": [{"numeric": [">=", i]}]}}}


def selective_campaigns(count):
    """The first one matches half of the purchases, as above; the others ask for single customers,
    goods, narrow amounts or orders of `eventflow load`, in many ways, and match next to nothing:
    what differs with their number is finding that out."""
    chance = random.Random(4)
    yield next(campaigns(1)) | {"id": "m-0"}
    for i in range(1, count):
        amount = round(chance.uniform(1, 999), 2)
        narrow = [{"numeric": [">=", amount, "<", round(amount + 0.05, 2)]}]
        customer, goods = chance.randint(1, 10000), chance.choice(GOODS)
        rules = (
            {"event_type": ["purchase"], "customer_id": [f"c{customer:05}"],
             "payload": {"amount": narrow}},
            {"payload": {"items": {"sku": [f"{goods}-{chance.randint(0, 999):03}"],
                                   "qty": [{"numeric": [">", 4]}]}}},
            {"event_type": ["purchase", "signup"],
             "payload": {"amount": [{"numeric": [">", amount, "<", round(amount + 0.008, 3)]}],
                         "currency": [chance.choice(["USD", "EUR"])]}},
            {"event_type": [{"anything-but": ["signup", "cart_updated"]}],
             "payload": {"order_id": [{"prefix": f"o-{chance.randint(0, 10**6):012}"[:12]}],
                         "channel": [chance.choice(["app", "store"])]}},
            {"customer_id": [{"prefix": f"c{customer:05}"[:4]}],
             "payload": {"coupon": [{"exists": False}], "currency": ["EUR"], "amount": narrow,
                         "items": {"sku": [{"prefix": f"{goods}-"}]}}},
        )[i % 5]
        yield {"id": f"m-{i}", "name": f"Segment {i}", "rules": rules}


class Server:
    """One `eventflow serve`; ends with the block it is used in."""

    def __init__(self, binary, folder, count=10, slow_sync_us=0):
        self.binary, self.data, self.slow_sync_us = binary, Path(folder) / "data", slow_sync_us
        self.start()
        known = self.call("/metrics/summary")["campaigns_active"]
        for campaign in list(campaigns(count))[known:]:
            self.call("/campaigns", campaign)

    def start(self):
        """Returns the seconds from the start of the process until it was ready."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        env = dict(os.environ)
        if self.slow_sync_us:
            env |= {"LD_PRELOAD": str(shim()), "FAULT_FOLDER": str(self.data),
                    "FAULT_SYNC_DELAY_US": str(self.slow_sync_us)}
        began = time.monotonic()
        self.process = subprocess.Popen(
            [self.binary, "serve", "--listen", f"127.0.0.1:{port}", "--metrics-listen",
             f"127.0.0.1:{port + 1}", "--data", self.data, "--log-level", "error"], env=env)
        while self.process.poll() is None and time.monotonic() - began < 300:
            with contextlib.suppress(OSError):
                self.call("/health/ready")
                return time.monotonic() - began
            time.sleep(0.002)
        sys.exit("bench: the server did not start")

    def call(self, path, body=None):
        request = urllib.request.Request(self.url + path)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def load(self, *flags):
        return load(self.binary, self.url, *flags)

    def wait_idle(self):
        while self.call("/metrics/summary")["waiting"] > 0:
            time.sleep(0.02)

    def memory_mib(self, field="VmRSS"):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
        return 0

    def disk_bytes(self):
        return sum(path.stat().st_size for path in self.data.iterdir())

    def thread_seconds(self):
        """{thread name: (user, kernel)}; numbers at the end of a name are dropped."""
        times = collections.defaultdict(lambda: [0.0, 0.0])
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            text = (task / "stat").read_text()
            name = text[text.index("(") + 1:text.rindex(")")].rstrip("0123456789").rstrip("-")
            fields = text[text.rindex(")") + 2:].split()
            times[name][0] += int(fields[11]) / TICKS
            times[name][1] += int(fields[12]) / TICKS
        return {name: tuple(pair) for name, pair in times.items()}


def post_campaigns(server, documents, say):
    """Over a few connections; each campaign is durable when it is answered."""
    def post(share):
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)
        for document in share:
            connection.request("POST", "/campaigns", json.dumps(document),
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 201:
                raise RuntimeError(f"campaign {document['id']}: {answer.status} {text!r}")
        connection.close()

    step = 10000
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        for first in range(0, len(documents), step):
            part = documents[first:first + step]
            list(threads.map(post, [part[i::8] for i in range(8)]))
            if len(documents) > step:
                say(f"{first + len(part):,} of {len(documents):,} campaigns stored")


def folder_with_campaigns(binary, count, say):
    """A data folder with that many selective campaigns and no event, to be copied. Storing a
    hundred thousand takes a minute, so it is kept; one that is not whole is not."""
    documents = list(selective_campaigns(count))
    digest = hashlib.sha256(json.dumps(documents).encode()).hexdigest()[:12]
    kept = SCRATCH / f"campaigns-{count}-{digest}"
    if not kept.exists():
        with scratch_folder() as folder:
            with Server(binary, folder, 0) as server:
                post_campaigns(server, documents, say)
            shutil.move(Path(folder) / "data", kept)
    return kept


@contextlib.contextmanager
def server_on_copy(binary, data):
    """On a copy of a data folder, which is removed afterwards. The copy has reached the disk before
    anything is measured."""
    with scratch_folder() as folder:
        shutil.copytree(data, Path(folder) / "data")
        os.sync()
        with Server(binary, folder, 0) as server:
            yield server


@contextlib.contextmanager
def fresh_server(binary, count=10, slow_sync_us=0):
    """With an empty data folder, which is removed afterwards."""
    with scratch_folder() as folder:
        with Server(binary, folder, count, slow_sync_us) as server:
            yield server


def load(binary, url, *flags):
    """One run of `eventflow load`; its report. Failed requests end the benchmark."""
    result = subprocess.run([binary, "load", "--url", url, "--json", "--quiet", *map(str, flags)],
                            stdout=subprocess.PIPE, text=True)
    if result.returncode != 0:
        sys.exit(f"bench: eventflow load ended with {result.returncode}: {result.stdout}")
    report = json.loads(result.stdout)
    if report["unsent_events"] or report["refused"]:
        print(f"bench: not all was taken: {report['refused']} refused, "
              f"{report['unsent_events']} not sent", file=sys.stderr)
    return report


# ---- the shim ------------------------------------------------------------------------------------

def shim():
    """The fault tests' library that makes a sync slow; built again when its source is newer."""
    source, library = ROOT / "tests/fault/shim.c", SCRATCH / "libfaultshim.so"
    if not library.exists() or library.stat().st_mtime < source.stat().st_mtime:
        library.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([os.environ.get("CC", "cc").split()[-1], "-std=gnu17", "-D_GNU_SOURCE",
                        "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl", "-lpthread"],
                       check=True)
    return library


# ---- nginx ---------------------------------------------------------------------------------------

NGINX = """daemon off; worker_processes 1; error_log stderr crit; pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 1000000000; client_max_body_size 4m;
    client_body_buffer_size 1m; client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen 127.0.0.1:{port}; location / {{ return 202 "{{}}"; }} }}
}}
"""


@contextlib.contextmanager
def nginx():
    """A web server that answers 202 and does nothing; yields its address, None without nginx."""
    program = (shutil.which("nginx") or shutil.which("/usr/sbin/nginx") or
               shutil.which(ROOT / "build/tools/usr/sbin/nginx"))
    if program is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="eventflow-bench-") as folder:
        os.chmod(folder, 0o755)
        port = free_port()
        config = Path(folder) / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=port))
        process = subprocess.Popen([program, "-p", folder, "-c", config],
                                   stderr=subprocess.DEVNULL)
        try:
            for _ in range(500):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                time.sleep(0.01)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


# ---- probes --------------------------------------------------------------------------------------

class Prober(threading.Thread):
    """Posts an event of its own every 40 ms and asks for it until it is there with its match: how
    long somebody outside waits, the asking included. An upper bound."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        self.accepted_ms, self.matched_ms, self.over = [], [], threading.Event()

    def ask(self, method, path, body=None):
        self.connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())

    def probe(self, number):
        event = {"event_id": f"probe-{number}", "event_type": "purchase", "source": "probe",
                 "payload": {"amount": 99}}
        began = time.monotonic()
        self.ask("POST", "/events", json.dumps(event))
        self.accepted_ms.append((time.monotonic() - began) * 1000)
        while True:
            status, seen = self.ask("GET", f"/events/probe-{number}?source=probe")
            if status == 200 and seen["state"] == "processed" and seen["matches"]:
                break
            time.sleep(0.0005)
        self.matched_ms.append((time.monotonic() - began) * 1000)

    def run(self):
        number = 0
        while not self.over.wait(0.04):
            self.probe(number)
            number += 1

    def finish(self):
        self.over.set()
        self.join(60)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0


class MemoryWatch(threading.Thread):
    """The largest resident size seen, in MiB."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.most, self.over = server, 0, threading.Event()

    def run(self):
        while not self.over.wait(0.05):
            self.most = max(self.most, self.server.memory_mib())

    def finish(self):
        self.over.set()
        self.join(10)
        return self.most


def is_sampling(process):
    """perf has opened its events: from then on something is recorded."""
    folder = Path(f"/proc/{process.pid}/fd")
    with contextlib.suppress(OSError):
        return any("perf_event" in os.readlink(link) for link in folder.iterdir())
    return False


def perf_shares(pid):
    """Starts perf; the function returned ends it and gives {(thread, library): samples}, {} without
    perf."""
    if shutil.which("perf") is None:
        return lambda: {}
    folder = tempfile.mkdtemp(prefix="eventflow-bench-")
    data = f"{folder}/perf.data"
    # A fixed period: perf needs a while to find the one for a frequency.
    record = subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock", "-c", "1000000", "-p",
                               str(pid), "-o", data],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while record.poll() is None and not is_sampling(record):
        time.sleep(0.01)

    def read():
        record.send_signal(signal.SIGINT)
        record.wait(120)
        text = subprocess.run(["perf", "script", "-i", data, "-F", "comm,ip,dso"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        shutil.rmtree(folder)
        shares = collections.Counter()
        for line in text.splitlines():
            if line.endswith(")"):
                name = line.split()[0].rstrip("0123456789").rstrip("-")
                shares[name, line[line.rindex("(") + 1:-1].rsplit("/", 1)[-1]] += 1
        return shares
    return read
