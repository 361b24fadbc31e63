"""The sections of the benchmark. Each takes a Bench and returns plain data: lists of single runs,
so that medians and spreads are made when the report is written."""
import json
import sqlite3
import subprocess
import time
from pathlib import Path

import rig
from match import report as match_report

BODY_SIZE = 370  # bytes of an event, as `eventflow load` makes them on average
SYNC_US = 2000
RATE = 10000


class Bench:
    """What all sections need to know."""

    def __init__(self, options):
        self.build = options.build
        self.binary = options.build / "eventflow"
        self.runs, self.seconds = options.runs, options.seconds
        self.fill, self.folder = options.fill, options.fill_folder
        self.campaign_counts, self.commit = options.campaign_counts, options.commit
        self.many, self.is_quick = options.many, options.quick
        self.match_rules = match_report.RULES[:4] if options.quick else match_report.RULES
        self.match_seconds = 0.1 if options.quick else 1

    def say(self, text):
        print(f"  {text}", flush=True)

    def repeat(self, what, run):
        """The results of all runs; each is shown as it comes."""
        results = []
        for i in range(self.runs):
            results.append(run())
            self.say(f"{what}: run {i + 1} of {self.runs}: {summary(results[-1])}")
        return results

    def full_speed(self, server, batch=1, most=300000):
        """Until the time or the events are over: what was accepted must also be processed, which
        takes much longer where there are many campaigns."""
        return rate_of(server.load("--duration", f"{self.seconds}s", "--events", most, "--batch",
                                   batch, "--connections", rig.CONNECTIONS))


def summary(result):
    if isinstance(result, dict):
        return ", ".join(f"{name} {value:,.2f}" for name, value in result.items()
                         if isinstance(value, (int, float)))
    return f"{result:,.0f}/s" if isinstance(result, (int, float)) else str(result)


def rate_of(report):
    """Events a second: accepted, and processed to the end (the time until nothing waits)."""
    return {"accepted": report["accepted_per_second"],
            "processed": report["processed"]["per_second"],
            "p99_ms": report["latency_ms"]["p99"],
            "generator_us": sum(report["generator_us_per_request"].values())}


# ---- micro-benchmarks ----------------------------------------------------------------------------

def micro(bench):
    """The programs print their own tables."""
    output = {}
    for name in ("flat", "pattern", "queue", "store"):
        with rig.scratch_folder() as folder:
            arguments = [folder] if name in ("queue", "store") else []
            bench.say(name)
            output[name] = subprocess.run([bench.build / "bench" / f"bench_{name}", *arguments],
                                          check=True, text=True, stdout=subprocess.PIPE).stdout
    return output


# ---- throughput ----------------------------------------------------------------------------------

def throughput(bench, batch, slow_sync_us=0):
    results = {}
    for count in (10, 1000):
        def run():
            with rig.fresh_server(bench.binary, count, slow_sync_us) as server:
                return bench.full_speed(server, batch)
        results[str(count)] = bench.repeat(f"{count} campaigns", run)
    return results


def single(bench):
    return throughput(bench, 1)


def batches(bench):
    return throughput(bench, 100)


def by_campaigns(bench):
    """For the plot."""
    results = {}
    for count in bench.campaign_counts:
        def run():
            with rig.fresh_server(bench.binary, count) as server:
                return bench.full_speed(server, most=50000)
        results[str(count)] = bench.repeat(f"{count} campaigns", run)
    return results


def one_many(bench, server):
    """One run on a server that has its campaigns: warm first, so that they are in force."""
    server.load("--events", 2000)
    server.wait_idle()
    at_rest = server.memory_mib()
    single, batches = bench.full_speed(server), bench.full_speed(server, 100)
    return {"single": single["processed"], "batches": batches["processed"],
            "single_p99_ms": single["p99_ms"], "memory_mib": at_rest}


def many(bench):
    """10 active campaigns and very many, in turns: the disk's mood must not decide."""
    results = {}
    folders = {count: rig.folder_with_campaigns(bench.binary, count, bench.say)
               for count in (10, bench.many)}
    for i in range(bench.runs):
        for count, folder in folders.items():
            with rig.server_on_copy(bench.binary, folder) as server:
                results.setdefault(str(count), []).append(one_many(bench, server))
            bench.say(f"{count:,} campaigns: run {i + 1} of {bench.runs}: "
                      f"{summary(results[str(count)][-1])}")
    return results


# ---- latency -------------------------------------------------------------------------------------

def one_latency(bench, slow_sync_us):
    with rig.fresh_server(bench.binary, 10, slow_sync_us) as server:
        prober = rig.Prober(server.url)
        prober.start()
        report = server.load("--rate", RATE, "--duration", f"{bench.seconds}s")
        prober.finish()
    latency = report["latency_ms"]
    return {"p50_ms": latency["p50"], "p99_ms": latency["p99"], "p99_9_ms": latency["p99_9"],
            "max_ms": latency["max"], "rate": report["accepted_per_second"],
            "match_p50_ms": rig.percentile(prober.matched_ms, 0.5),
            "match_p99_ms": rig.percentile(prober.matched_ms, 0.99),
            "probes": len(prober.matched_ms)}


def latency(bench):
    return bench.repeat(f"{RATE:,} events/s", lambda: one_latency(bench, 0))


def slow_sync(bench):
    """All of the above with a disk whose every sync takes 2 ms longer."""
    return {"single": throughput(bench, 1, SYNC_US), "batches": throughput(bench, 100, SYNC_US),
            "latency": bench.repeat(f"{RATE:,} events/s", lambda: one_latency(bench, SYNC_US))}


# ---- ceilings ------------------------------------------------------------------------------------

def append_rate(batch, seconds):
    """Events a second that SQLite itself appends durably, one commit a batch. The rows are made
    inside of SQLite, so Python's share is one call a commit."""
    with rig.scratch_folder() as folder:
        db = sqlite3.connect(Path(folder) / "append.db", isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA wal_autocheckpoint=4000")
        db.execute("CREATE TABLE log (seq INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT")
        insert = ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) "
                  "INSERT INTO log (body) SELECT ?2 FROM n")
        body, count, began = "x" * BODY_SIZE, 0, time.monotonic()
        while time.monotonic() - began < seconds:
            db.execute(insert, (batch, body))
            count += batch
        rate = count / (time.monotonic() - began)
        db.close()
    return rate


def ceilings(bench):
    results = {"nginx": {}, "append": {}}
    with rig.nginx() as url:
        for batch in (1, 100) if url else ():
            results["nginx"][str(batch)] = bench.repeat(
                f"nginx return 202, {batch} events a request",
                lambda: rig.load(bench.binary, url, "--duration", f"{bench.seconds}s", "--batch",
                                 batch, "--wait=false")["accepted_per_second"])
    if not url:
        bench.say("nginx is not installed: skipped")
    for batch in (1, 64, 100, 1000):
        results["append"][str(batch)] = bench.repeat(
            f"SQLite append, {batch} a commit", lambda: append_rate(batch, bench.seconds / 2))
    return results


# ---- memory --------------------------------------------------------------------------------------

def memory(bench):
    def run():
        with rig.fresh_server(bench.binary, 10) as server:
            at_rest = server.memory_mib()
            watch = rig.MemoryWatch(server)
            watch.start()
            bench.full_speed(server)
            return {"rest_mib": at_rest, "load_mib": watch.finish()}
    return bench.repeat("resident", run)


# ---- where the processor time goes ---------------------------------------------------------------

STAGES = {"loop": "HTTP: read, check, answer", "committer": "intake: commit to queue.db",
          "worker": "worker: decode, match, settle"}
HELPERS = {"settler": "worker"}  # threads that do a part of another one's work


def library_kind(library):
    if "kernel" in library:
        return "kernel"
    return "sqlite" if "sqlite" in library else "own"


def cpu_of(server, batch, seconds):
    """Microseconds for each event by thread; with perf also by library."""
    before = server.thread_seconds()
    shares = rig.perf_shares(server.process.pid)
    report = server.load("--duration", f"{seconds}s", "--batch", batch)
    samples = shares()
    events = max(report["accepted_events"], 1)
    rows = {}
    for name, (user, kernel) in server.thread_seconds().items():
        used = [user - before.get(name, (0, 0))[0], kernel - before.get(name, (0, 0))[1]]
        name = HELPERS.get(name, name)
        stage = name if name in STAGES else "other"
        row = rows.setdefault(stage, {"user": 0.0, "kernel": 0.0, "samples": {}})
        row["user"] += used[0] * 1e6 / events
        row["kernel"] += used[1] * 1e6 / events
    for (name, library), count in samples.items():
        name = HELPERS.get(name, name)
        stage = name if name in rows else "other"
        kinds = rows.setdefault(stage, {"user": 0.0, "kernel": 0.0, "samples": {}})["samples"]
        kinds[library_kind(library)] = kinds.get(library_kind(library), 0) + count
    generator = report["generator_us_per_request"]
    return {"rows": rows, "generator_user": generator["user"] / batch,
            "generator_kernel": generator["system"] / batch,
            "rate": report["accepted_per_second"]}


def cpu(bench):
    results = {}
    for batch in (1, 100):
        for count in (10, 1000):
            with rig.fresh_server(bench.binary, count) as server:
                results[f"{batch}/{count}"] = cpu_of(server, batch, bench.seconds)
            bench.say(f"{batch} events a request, {count} campaigns")
    return results


# ---- with many events stored ---------------------------------------------------------------------

def fill_to(bench, server, target):
    """Continues where an interrupted fill stopped. In pieces, so that there is something to see."""
    while True:
        stored = server.call("/metrics/summary")["processed"]
        if stored >= target:
            return stored
        step = min(500000, target - stored)
        report = server.load("--events", step, "--batch", 1000, "--connections", 4)
        bench.say(f"filled {stored + step:,} of {target:,} "
                  f"({report['processed']['per_second']:,.0f}/s)")


def start_seconds(bench, server):
    def run():
        server.stop()
        return {"seconds": server.start()}
    return bench.repeat("start", run)


def at_stored(bench, server, stored):
    """Numbers of events, not seconds: the measuring itself must not fill the folder."""
    def run(count, batch):
        return bench.repeat(f"{stored:,} stored, {batch} events a request", lambda: rate_of(
            server.load("--events", max(count, 2000), "--batch", batch)))

    return {"stored": stored, "commit": bench.commit, "single": run(bench.fill // 200, 1),
            "batches": run(bench.fill // 100, 100), "memory_mib": server.memory_mib()}


def with_stored(bench, server):
    """What is asked of a server with everything stored."""
    final = {"disk_bytes": server.disk_bytes(),
             "stored": server.call("/metrics/summary")["processed"],
             "start": start_seconds(bench, server), "rest_mib": server.memory_mib()}
    prober = rig.Prober(server.url)
    prober.start()
    report = server.load("--rate", RATE, "--duration", f"{bench.seconds}s")
    prober.finish()
    return final | {"p99_ms": report["latency_ms"]["p99"],
                    "match_p99_ms": rig.percentile(prober.matched_ms, 0.99)}


def stored(bench):
    """A folder that is filled step by step and measured at each step. It is kept, with the points
    that this commit has measured: an interrupted run goes on where it stopped, and a filled folder
    serves other commits for the last point."""
    bench.folder.mkdir(parents=True, exist_ok=True)
    notes = bench.folder / "points.json"
    known = json.loads(notes.read_text()) if notes.exists() else []
    points = [point for point in known if point["commit"] == bench.commit]
    with rig.Server(bench.binary, bench.folder) as server:
        have = server.call("/metrics/summary")["processed"]
        for step in [0, bench.fill // 10, bench.fill // 4, bench.fill // 2, bench.fill]:
            is_done = any(point["step"] == step for point in points)
            if is_done or (step < have and step != bench.fill):
                continue
            points.append({"step": step} | at_stored(bench, server, fill_to(bench, server, step)))
            notes.write_text(json.dumps(points))
        return {"points": points, "final": with_stored(bench, server)}


# In the order they run: what may disturb nobody first, the long one last.
SECTIONS = {"micro": micro, "match": match_report.measure, "single": single, "batches": batches,
            "ceilings": ceilings, "latency": latency, "slow-sync": slow_sync, "memory": memory,
            "cpu": cpu, "campaigns": by_campaigns, "many": many, "stored": stored}
