#!/usr/bin/python3
"""Runs the benchmarks of a release build and writes bench/README.md and its plots.

Every section starts servers of its own in temporary folders; rates count until every event is
processed, load generator (`eventflow load`) included. Results are kept in bench/results.json as
single runs, so that one section can be measured again without the others (--only), and the report
be written again without any (--report).

    bench/run.py --quick                       a try-out: one short run each, prints, writes nothing
    bench/run.py --only single,latency         measures these again
    bench/run.py --only stored --fill 1000000  fewer stored events
"""
import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import figures  # noqa: E402
import sections  # noqa: E402
from match import report as match_report  # noqa: E402
from rig import ROOT, scratch_folder  # noqa: E402

RESULTS = ROOT / "bench/results.json"


def machine():
    """What the figures depend on, in one line."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text()).group(1))
    system = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines()
                  if "=" in line)
    return (f"{len(os.sched_getaffinity(0))} cores "
            f"({cpu.group(1) if cpu else os.uname().machine}), {memory / 1048576:.0f} GiB, "
            f"{system['PRETTY_NAME'].strip(chr(34))}, Linux "
            f"{os.uname().release.split('-')[0]}, a sync of {sync_us():.0f} us")


def sync_us():
    """Of 4 KiB appended to a file where the servers' folders are. Median of 200."""
    times = []
    with scratch_folder() as folder, open(Path(folder) / "sync", "wb", buffering=0) as file:
        for _ in range(200):
            file.write(b"x" * 4096)
            began = time.monotonic()
            os.fdatasync(file.fileno())
            times.append((time.monotonic() - began) * 1e6)
    return sorted(times)[len(times) // 2]


def commit():
    def git(*arguments):
        return subprocess.run(["git", "-C", ROOT, *arguments], text=True,
                              stdout=subprocess.PIPE).stdout.strip()
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "meson.build")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+" if changed else "")


def command():
    """As somebody would type it again; make bench gives the build folder and nothing else."""
    made = {(): "make bench", ("--only", "match"): "make bench-match"}
    if len(sys.argv) > 2 and sys.argv[1] == "--build" and tuple(sys.argv[3:]) in made:
        return made[tuple(sys.argv[3:])]
    return " ".join(["bench/run.py", *sys.argv[1:]])


def read_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--runs", type=int, default=5, help="runs of everything (5)")
    parser.add_argument("--seconds", type=int, default=5, help="of one run (5)")
    parser.add_argument("--only", help="sections, separated by commas: " +
                        ", ".join(sections.SECTIONS))
    parser.add_argument("--fill", type=int, default=10_000_000,
                        help="events that `stored` fills in (10,000,000)")
    parser.add_argument("--fill-folder", type=Path, default=ROOT / "build/bench/stored",
                        help="where; what is there already is used")
    parser.add_argument("--many", type=int, default=100_000,
                        help="active campaigns that `many` compares with 10 (100,000)")
    parser.add_argument("--quick", action="store_true",
                        help="runs of a second, 20,000 stored events, no micro; writes nothing")
    parser.add_argument("--report", action="store_true",
                        help="only write README and plots from results.json")
    options = parser.parse_args()
    options.campaign_counts = [1, 10, 100, 1000, 3000]
    if options.quick:
        options.runs, options.seconds, options.campaign_counts = 1, 1, [1, 10, 100]
        options.fill, options.many = min(options.fill, 20000), min(options.many, 300)
        if options.fill_folder == parser.get_default("fill_folder"):
            options.fill_folder = ROOT / "build/bench/stored-quick"
    names = (options.only.split(",") if options.only else
             [name for name in sections.SECTIONS if name != "micro" or not options.quick])
    for name in names:
        if name not in sections.SECTIONS:
            parser.error(f"no section is called '{name}'; there are "
                         f"{', '.join(sections.SECTIONS)}")
    options.commit = commit()
    options.names = [name for name in sections.SECTIONS if name in names]
    return options


def read_state():
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {"sections": {}}


def write(state, folder):
    figures.write_readme(folder / "README.md", state)
    figures.write_plots(folder, {n: s["data"] for n, s in state["sections"].items()})
    if "match" in state["sections"]:
        match_report.write(folder / "match", state)


def measure(options, state):
    """Saved after each section: an interrupted run keeps what it has."""
    bench = sections.Bench(options)
    state["machine"] = machine()
    for number, name in enumerate(options.names, 1):
        print(f"== {name} ({number} of {len(options.names)})", flush=True)
        began = time.monotonic()
        data = sections.SECTIONS[name](bench)
        state["sections"][name] = {
            "commit": options.commit, "date": datetime.date.today().isoformat(), "data": data,
            "command": command()}
        print(f"   {time.monotonic() - began:.0f} s", flush=True)
        if not options.quick:
            RESULTS.write_text(json.dumps(state, indent=1) + "\n")
    return state


def main():
    options = read_options()
    if options.report and not RESULTS.exists():
        sys.exit("bench: nothing has been measured yet")
    if options.report:
        write(read_state(), ROOT / "bench")
        return
    if not (options.build / "eventflow").exists():
        sys.exit(f"bench: no program in {options.build}; `make bench` builds it")
    state = measure(options, {"sections": {}} if options.quick else read_state())
    if options.quick:
        print(figures.render(state))
        if "match" in state["sections"]:
            print(match_report.render(state))
        figures.write_plots(options.fill_folder.parent if options.fill_folder.parent.exists()
                            else Path("/tmp"), {n: s["data"] for n, s in state["sections"].items()})
        return
    write(state, ROOT / "bench")
    print(f"written: {ROOT / 'bench/README.md'}")


if __name__ == "__main__":
    main()
