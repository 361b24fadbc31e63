"""From the runs to bench/README.md (between its two markers) and the two plots."""
import statistics

import plot

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def values(runs, key):
    return [run[key] if isinstance(run, dict) else run for run in runs]


def median(runs, key=None):
    return statistics.median(values(runs, key)) if runs else 0


def spread(runs, key=None, digits=0, factor=1, unit=""):
    """'12,345 (11,000 to 13,000)'"""
    if not runs:
        return "not measured"
    numbers = [value * factor for value in values(runs, key)]
    shown = [f"{n:,.{digits}f}" for n in (statistics.median(numbers), min(numbers), max(numbers))]
    return f"{shown[0]}{unit} ({shown[1]} to {shown[2]})"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


# ---- one function a table ------------------------------------------------------------------------

def throughput_rows(results, what):
    """results: {campaigns: runs}"""
    return [(f"{what}, {int(count):,} campaigns", spread(runs, "accepted"),
             spread(runs, "processed")) for count, runs in results.items()]


def throughput_table(data):
    rows = []
    if "single" in data:
        rows += throughput_rows(data["single"], "single-event POSTs, 64 connections")
    if "batches" in data:
        rows += throughput_rows(data["batches"], "NDJSON batches of 100, 64 connections")
    if "slow-sync" in data:
        slow = data["slow-sync"]
        rows += throughput_rows(slow["single"], "with a 2 ms sync: single-event POSTs")
        rows += throughput_rows(slow["batches"], "with a 2 ms sync: batches of 100")
    return table(("Load", "accepted, events/s", "processed, events/s"), rows) if rows else ""


def ceiling_table(data):
    if "ceilings" not in data:
        return ""
    ceilings = data["ceilings"]
    rows = [(f"nginx `return 202`, one worker, {batch} events a request", spread(runs))
            for batch, runs in ceilings["nginx"].items()]
    rows += [(f"SQLite append, {int(batch):,} events a commit, one thread, nothing else",
              spread(runs)) for batch, runs in ceilings["append"].items()]
    return table(("Ceiling", "events/s"), rows)


def latency_table(data):
    rows = []
    found = [("", data.get("latency")), ("with a 2 ms sync: ",
                                         data.get("slow-sync", {}).get("latency"))]
    for prefix, runs in found:
        if runs:
            rows += [(f"{prefix}202, from the intended send time", spread(runs, "p50_ms", 2),
                      spread(runs, "p99_ms", 2), spread(runs, "p99_9_ms", 2)),
                     (f"{prefix}match visible, from sending the event",
                      spread(runs, "match_p50_ms", 2), spread(runs, "match_p99_ms", 2), "")]
    return table(("At 10,000 events/s", "p50, ms", "p99, ms", "p99.9, ms"), rows) if rows else ""


def memory_table(data):
    rows = []
    if "memory" in data:
        rows = [("at rest, 10 campaigns", spread(data["memory"], "rest_mib", 1)),
                ("the most under full load", spread(data["memory"], "load_mib", 1))]
    if "stored" in data:
        final = data["stored"]["final"]
        last = data["stored"]["points"][-1]
        rows += [(f"after load, with {last['stored']:,} events", f"{last['memory_mib']:,.1f}"),
                 (f"started with {final['stored']:,} events", f"{final['rest_mib']:,.1f}")]
    return table(("Resident memory", "MiB"), rows) if rows else ""


def stored_table(data):
    if "stored" not in data:
        return ""
    final = data["stored"]["final"]
    rows = [(f"{point['stored']:,}", spread(point["single"], "processed"),
             spread(point["batches"], "processed"), f"{point['memory_mib']:,.0f}")
            for point in data["stored"]["points"]]
    text = table(("Events stored before", "single-event POSTs, processed/s",
                  "batches of 100, processed/s", "memory, MiB"), rows)
    return text + (
        f"\nWith {final['stored']:,} events stored ({final['disk_bytes'] / 1e9:.1f} GB on disk): "
        f"start until ready {spread(final['start'], 'seconds', 2)} s; at 10,000 events/s p99 of "
        f"the 202 {final['p99_ms']:.2f} ms, p99 of the visible match "
        f"{final['match_p99_ms']:.2f} ms.\n")


def many_table(data):
    """Runs of different numbers of campaigns took turns on copies of prepared folders."""
    rows = [(f"{int(count):,}", spread(runs, "single"), spread(runs, "batches"),
             spread(runs, "single_p99_ms", 2), spread(runs, "memory_mib", 1))
            for count, runs in data.get("many", {}).items()]
    return table(("Active campaigns, selective", "single-event POSTs, processed/s",
                  "batches of 100, processed/s", "p99 of the 202, ms", "memory, MiB"),
                 rows) if rows else ""


STAGES = {"loop": "HTTP and loop", "committer": "intake and commit",
          "worker": "worker: all steps", "other": "other threads"}


CPU_ROWS = ["HTTP and loop", "intake and commit", "worker: decode and match",
            "worker: settle (SQLite)", "worker: all steps", "other threads", "kernel, all threads",
            "together", "beside it: load generator"]


def cpu_rows(result):
    """Kernel time apart; of the worker, SQLite (settle) apart where perf has looked."""
    rows, kernel = [], 0
    for name, title in STAGES.items():
        row = result["rows"].get(name)
        if row is None:
            continue
        kernel += row["kernel"]
        samples = row["samples"]
        user_samples = samples.get("own", 0) + samples.get("sqlite", 0)
        if name == "worker" and user_samples:
            settle = row["user"] * samples.get("sqlite", 0) / user_samples
            rows += [("worker: decode and match", row["user"] - settle),
                     ("worker: settle (SQLite)", settle)]
        else:
            rows.append((title, row["user"]))
    rows.append(("kernel, all threads", kernel))
    rows.append(("together", sum(value for _, value in rows)))
    rows.append(("beside it: load generator",
                 result["generator_user"] + result["generator_kernel"]))
    return rows


def cpu_table(data):
    if "cpu" not in data:
        return ""
    columns = list(data["cpu"].items())
    stages = [cpu_rows(result) for _, result in columns]
    names = [name for name in CPU_ROWS if any(name in dict(rows) for rows in stages)]
    lookup = [dict(rows) for rows in stages]
    head = ["CPU, us an event"]
    for key, _ in columns:
        batch, count = key.split("/")
        head.append(f"{'batches of 100' if batch == '100' else 'single'}, {int(count):,} campaigns")
    return table(head, [[name] + [f"{found[name]:.1f}" if name in found else "" for found in lookup]
                        for name in names])


def goal_table(data):
    """The goals of the design, and whether this run meets them."""
    def of(section, *path):
        found = data.get(section)
        for step in path:
            found = found.get(step) if found else None
        return found

    ten, thousand = of("single", "10"), of("single", "1000")
    slow = of("slow-sync", "latency")
    rows = []

    def add(what, goal, measured, is_met):
        rows.append((what, goal, measured, "yes" if is_met else "**no**"))

    if ten:
        add("single-event POSTs, processed", ">= 80,000/s", f"{median(ten, 'processed'):,.0f}/s",
            median(ten, "processed") >= 80000)
        if thousand:
            loss = 1 - median(thousand, "processed") / median(ten, "processed")
            add("1,000 instead of 10 campaigns", "<= 10 % slower", f"{loss * 100:.0f} % slower",
                loss <= 0.1)
    if of("batches", "10"):
        rate = median(of("batches", "10"), "processed")
        add("batches of 100, processed", ">= 150,000/s", f"{rate:,.0f}/s", rate >= 150000)
    for runs, key, what, limit in ((of("latency"), "p99_ms", "p99 of the 202", 5),
                                   (slow, "p99_ms", "p99 of the 202, 2 ms sync", 12),
                                   (of("latency"), "match_p99_ms", "p99 of the visible match", 50)):
        if runs:
            add(what + " at 10,000/s", f"< {limit} ms", f"{median(runs, key):.2f} ms",
                median(runs, key) < limit)
    for key, what in (("single", "single-event POSTs"), ("batches", "batches of 100")):
        few, most = list(of("many").values())[:2] if of("many") else (None, None)
        if few:
            loss = 1 - median(most, key) / median(few, key)
            add(f"{int(max(of('many'), key=int)):,} instead of 10 active campaigns, {what}",
                "<= 15 % slower", f"{loss * 100:.0f} % slower", loss <= 0.15)
    if of("memory"):
        rest = median(of("memory"), "rest_mib")
        add("memory at rest", "< 64 MiB", f"{rest:.1f} MiB", rest < 64)
    return table(("Goal", "wanted", "measured", "met"), rows) if rows else ""


# ---- the report ----------------------------------------------------------------------------------

PARTS = [
    ("Goals", goal_table), ("Throughput", throughput_table),
    ("Ceilings, same machine, same run", ceiling_table), ("Latency", latency_table),
    ("With many active campaigns", many_table),
    ("With many events stored", stored_table), ("Memory", memory_table),
    ("Where the processor time goes", cpu_table),
]


def render(state):
    """state: {"machine", "sections": {name: {"commit", "date", "command", "data"}}}"""
    data = {name: section["data"] for name, section in state["sections"].items()}
    out = [f"Measured on {state['machine']}. Medians of the runs, the lowest and highest in "
           "brackets; load generator and server share the machine.\n"]
    for title, make in PARTS:
        text = make(data)
        if text:
            out.append(f"## {title}\n\n{text}")
    if "stored" in data:
        out.append("![Rate against stored events](rate_by_stored.svg)\n")
    if "campaigns" in data:
        out.append("![Rate against campaigns](rate_by_campaigns.svg)\n")
    if "match" in data:
        out.append("## The matcher alone\n\nStands on [a page of its own](match/README.md).\n")
    if "micro" in data:
        out.append("## Micro-benchmarks\n")
        out += [f"`bench_{name}`\n\n```\n{text.rstrip()}\n```\n"
                for name, text in data["micro"].items()]
    out.append("## Provenance\n\n" + table(
        ("Section", "commit", "date", "command"),
        [(name, f"`{s['commit']}`", s["date"], f"`{s['command']}`")
         for name, s in state["sections"].items()]))
    return "\n".join(out)


def write_readme(path, state):
    text = path.read_text()
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    path.write_text(f"{before}{BEGIN}\n\n{render(state)}\n{END}{after}")


def points_of(runs, key="processed"):
    numbers = values(runs, key)
    return statistics.median(numbers), min(numbers), max(numbers)


def write_plots(folder, data):
    if "stored" in data:
        series = {name: [(p["stored"], *points_of(p[key])) for p in data["stored"]["points"]]
                  for name, key in (("single-event POSTs", "single"),
                                    ("batches of 100", "batches"))}
        (folder / "rate_by_stored.svg").write_text(plot.line_plot(
            "Accepted and processed, by events already stored", "events stored before the run",
            "events a second", series))
    if "campaigns" in data:
        counts = [int(count) for count in data["campaigns"]]
        series = {"single-event POSTs, 64 connections":
                  [(int(count), *points_of(runs)) for count, runs in data["campaigns"].items()]}
        (folder / "rate_by_campaigns.svg").write_text(plot.line_plot(
            "Accepted and processed, by number of active campaigns", "campaigns",
            "events a second", series, counts))
