"""The matcher's part of the benchmark: runs bench_match, and makes bench/match/README.md (between
its two markers) and its plot from the figures."""
import json
import subprocess
import sys

import rig
from figures import BEGIN, END, table
from match.log_plot import log_plot

RULES = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000]
SETS = ["mix", "nonum", "hard", "flat", "five"]
HURT_RULES = 1000
MIB = 1 << 20

# ---- what others need: published figures, ns an event, parse and match unless said otherwise -----
# Measured before, on a 2-core machine like this one, with workloads of the same make; medians.

LOOP, PROBE = "naive C loop", "prototype (C)"
RULER, BETREE, KINDEX, QUAMINA = ("event-ruler 2.0.1 (Java)", "be-tree (C)",
                                  "K-index (Go, match only)", "Quamina (Go)")
PUBLISHED = {
    "mix": {
        LOOP: {1: 301, 10: 442, 100: 2092, 1000: 21468, 10_000: 206_979, 100_000: 2_367_991},
        PROBE: {1: 143, 10: 290, 100: 640, 1000: 1068, 10_000: 1831, 100_000: 5550,
                1_000_000: 18_507},
        RULER: {1: 1094, 10: 2322, 100: 11_269, 1000: 78_163, 10_000: 1_279_009},
        BETREE: {1: 3791, 10: 4040, 100: 6932, 1000: 33_285, 10_000: 708_318},
        KINDEX: {1000: 24_527, 10_000: 188_608, 100_000: 1_604_127},
    },
    "nonum": {
        PROBE: {1: 140, 100: 550, 1000: 990, 10_000: 1600, 100_000: 4400},
        QUAMINA: {1: 800, 100: 7300, 1000: 57_000, 10_000: 1_090_000, 100_000: 23_000_000},
    },
    "hard": {PROBE: {100_000: 9500}},
    "flat": {PROBE: {100_000: 370}, QUAMINA: {100_000: 3800}, RULER: {100_000: 4000}},
    "five": {PROBE: {5: 75}, QUAMINA: {5: 345}},
}
# Not bars to clear: the one has no index, the other lacks half of the language.
NO_PEERS = {LOOP, PROBE}

# ---- the goals: set, rules, ns an event ----------------------------------------------------------
# They were set for one pass over the event that skips what no rule names and ends when all that is
# named was seen: matcher_find_trusted. What the strict reading takes, of every byte, stands beside.

TIME_GOALS = [("mix", 100, 1000), ("mix", 1000, 1500), ("mix", 10_000, 3000),
              ("mix", 100_000, 8000), ("mix", 1_000_000, 20_000), ("five", 5, 150)]
RULER_RATIO, RULER_RULES = 300, 10_000
INDEX_MIB, BUILD_SECONDS, LARGE = 300, 3, 1_000_000
HURT_MS = 50

# The machine is shared, and slow for minutes: the passes over everything are minutes apart, and the
# best one counts. So a million rules are timed less often.
PASSES, PASSES_LARGE = 3, 2
BEST_OF = ("match_ns", "parse_ns", "trusted_ns", "naive_ns", "parse_patterns_s", "add_s", "finish_s")


# ---- measuring -----------------------------------------------------------------------------------

def run_program(program, *arguments):
    """A process of its own for each figure, so that no memory is left over from another one. Ends
    with 1, and says so, where an answer was wrong: a result, too."""
    with rig.scratch_folder() as folder:
        report = f"{folder}/report.json"
        code = subprocess.run([program, *map(str, arguments), "--json", report],
                              stdout=subprocess.DEVNULL).returncode
        if code not in (0, 1):
            sys.exit(f"bench: {program.name} ended with {code}")
        with open(report) as file:
            return json.load(file)


def text_of(program, *arguments):
    """What a program prints, or nothing where it is not built or fails: the other figures are worth
    keeping."""
    if not program.exists():
        return ""
    run = subprocess.run([program, *map(str, arguments)], text=True, stdout=subprocess.PIPE)
    if run.returncode != 0:
        print(f"bench: {program.name} ended with {run.returncode}", file=sys.stderr)
    return run.stdout if run.returncode == 0 else ""


def shown(point):
    return (f"{point['set']}, {point['rules']:,} rules: {point['match_ns']:,.0f} ns an event "
            f"(reading it {point['parse_ns']:,.0f}; trusted {point['trusted_ns']:,.0f}), "
            f"{point['matches']:.2f} matches, "
            f"{point['candidates']:,.0f} candidates, "
            f"{point['index_bytes'] / MIB:,.1f} MiB")


def take_best(old, new, names):
    """Each figure by itself: the time of a pass that was not disturbed."""
    for name in names:
        if old[name] and new[name]:
            old[name] = min(old[name], new[name])


def measure_sets(bench, result, points, number):
    for name in SETS:
        for rules in [5] if name == "five" else bench.match_rules:
            if number >= (PASSES_LARGE if rules >= LARGE else PASSES):
                continue
            found = run_program(bench.build / "bench" / "bench_match", "--only", "sets", "--set",
                                name, "--rules", rules, "--seconds", bench.match_seconds)
            result["equals_reference"] &= found["equals_reference"]
            new = found["points"][0]
            bench.say(shown(new))
            point = points.setdefault((name, rules), new)
            take_best(point, new, BEST_OF)
            for passes, figure in (("passes", "match_ns"), ("trusted_passes", "trusted_ns")):
                point.setdefault(passes, []).append(new[figure])


def measure_hurt(bench, result, cases):
    found = run_program(bench.build / "bench" / "bench_match", "--only", "hurt")
    result["equals_reference"] &= found["equals_reference"]
    for case in found["hurt"]:
        bench.say(f"{case['name']}: {case['worst_ms']:,.1f} ms")
        take_best(cases.setdefault(case["name"], case), case, ("worst_ms", "parse_ms", "build_s"))


def measure(bench):
    """All sets at all numbers of rules, and what was built to hurt, several times; then changes
    while it runs."""
    result, points, cases = {"hurt": [], "equals_reference": True}, {}, {}
    for number in range(1 if bench.is_quick else PASSES):
        measure_sets(bench, result, points, number)
        if not bench.is_quick:
            measure_hurt(bench, result, cases)
    result["points"], result["hurt"] = list(points.values()), list(cases.values())
    if bench.is_quick:
        return result
    result["changes"] = text_of(bench.build / "bench" / "bench_campaigns")
    return result


# ---- tables --------------------------------------------------------------------------------------

def ns(value):
    """Three digits, in the unit that suits."""
    for limit, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}" if value < 1000 * limit else \
                f"{value / limit:,.0f} {unit}"
    return f"{value:.0f} ns"


def ratio(theirs, ours):
    share = theirs / ours
    return f"{share:,.0f}x" if share >= 10 else f"{share:.1f}x"


def by_rules(data, name):
    return {p["rules"]: p for p in data["points"] if p["set"] == name}


def own_ns(point):
    """What stands beside the peers. Those of "five" stop reading when they have what they need, so
    ours does, too."""
    if point["set"] == "five":
        return point.get("trusted_ns", point["match_ns"])
    return point["match_ns"]


def peers_at(name, rules):
    """{peer: ns} of those that are bars to clear."""
    return {peer: line[rules] for peer, line in PUBLISHED.get(name, {}).items()
            if rules in line and peer not in NO_PEERS}


def with_slowest(point, figure, passes):
    return f"{ns(point[figure])} (slowest pass {ns(max(point.get(passes, [point[figure]])))})"


def goal_table(data):
    rows = []

    def add(what, goal, measured, is_met, strict=""):
        rows.append((what, goal, measured, "yes" if is_met else "**no**", strict))

    for name, rules, limit in TIME_GOALS:
        point = by_rules(data, name).get(rules)
        if point:
            what = "five exact rules, 955 bytes, in cache" if name == "five" else \
                f"{name}, {rules:,} rules"
            add(what, f"<= {ns(limit)}", with_slowest(point, "trusted_ns", "trusted_passes"),
                point["trusted_ns"] <= limit, with_slowest(point, "match_ns", "passes"))
    mix = by_rules(data, "mix")
    if RULER_RULES in mix:
        ours, theirs = mix[RULER_RULES]["match_ns"], PUBLISHED["mix"][RULER][RULER_RULES]
        add(f"event-ruler's time at {RULER_RULES:,} rules", f">= {RULER_RATIO}x ours",
            ratio(theirs, ours), theirs >= RULER_RATIO * ours)
    behind = [f"{p['set']} {p['rules']:,}" for p in data["points"]
              if any(theirs <= own_ns(p)
                     for theirs in peers_at(p["set"], p["rules"]).values())]
    add("ahead of every peer", "everywhere",
        "behind at " + ", ".join(behind) if behind else "everywhere", not behind)
    if LARGE in mix:
        index = mix[LARGE]["index_bytes"] / MIB
        build = mix[LARGE]["add_s"] + mix[LARGE]["finish_s"]
        add(f"index of {LARGE:,} rules", f"<= {INDEX_MIB} MiB", f"{index:,.0f} MiB",
            index <= INDEX_MIB)
        add("building it, from parsed patterns", f"<= {BUILD_SECONDS} s", f"{build:.2f} s",
            build <= BUILD_SECONDS)
    if data["hurt"]:
        worst = max(data["hurt"], key=lambda case: case["worst_ms"])
        add(f"worst single event, {HURT_RULES:,} rules built to hurt", f"<= {HURT_MS} ms",
            f"{worst['worst_ms']:,.1f} ms ({worst['name']})", worst["worst_ms"] <= HURT_MS)
    add("answers equal to the reference's", "all that were compared",
        "all" if data["equals_reference"] else "not all", data["equals_reference"])
    return table(("Goal", "wanted", "measured", "met", "read strictly"), rows)


def peer_table(data, name):
    """Ours beside the published ones; the ratio to the nearest peer, how far it is ahead."""
    points = by_rules(data, name)
    others = PUBLISHED.get(name, {})
    head = ["Rules", "**EventFlow**", "reading the event alone", "reference evaluator here",
            *others, "nearest peer / ours", "slowest peer / ours"]
    rows = []
    for rules, point in points.items():
        ours, peers = own_ns(point), peers_at(name, rules)
        naive = point["naive_ns"]
        rows.append([f"{rules:,}", f"**{ns(ours)}**", ns(point["parse_ns"]),
                     ns(naive) if naive else "",
                     *(ns(line[rules]) if rules in line else "" for line in others.values()),
                     ratio(min(peers.values()), ours) if peers else "",
                     ratio(max(peers.values()), ours) if peers else ""])
    return table(head, rows) if rows else ""


def detail_table(data):
    rows = [(p["set"], f"{p['rules']:,}", ns(p["match_ns"]), ns(p["trusted_ns"]),
             ns(max(p["match_ns"] - p["parse_ns"], 0)), f"{p['matches']:.2f}",
             f"{p['reference_matches']:.2f} ({p['compared_events']:,})",
             f"{p['candidates']:,.1f}", f"{p['parse_patterns_s']:.3f}",
             f"{p['add_s'] + p['finish_s']:.3f}",
             f"{(p['add_s'] + p['finish_s']) * 1e6 / p['rules']:.2f}",
             f"{p['index_bytes'] / MIB:,.1f}", f"{p['resident_bytes'] / MIB:,.1f}",
             f"{p['peak_bytes'] / MIB:,.1f}", f"`{p['workload'][:8]}`") for p in data["points"]]
    return table(("Set", "rules", "event", "trusted", "of it matching", "matches", "reference (events)",
                  "candidates", "parse patterns, s", "build, s", "build, us a rule", "index, MiB",
                  "resident, MiB", "peak, MiB", "workload"), rows)


def hurt_table(data):
    rows = [(case["name"], case["about"], f"{case['worst_ms']:,.2f}", f"{case['parse_ms']:,.2f}",
             f"{case['matches']:,}", f"{case['candidates']:,}", f"{case['build_s']:.3f}",
             f"{case['compared']:,}") for case in data["hurt"]]
    return table(("Case", "what it is", "worst event, ms", "reading it, ms", "matches",
                  "candidates", "build, s", "answers compared"), rows) if rows else ""


# ---- the report ----------------------------------------------------------------------------------

PEER_PARTS = [
    ("mix", "Mix: 1 to 4 conditions of all kinds"), ("nonum", "Nonum: the same without numbers"),
    ("hard", "Hard: broad conditions only"), ("flat", "Flat: all rules name the same two fields"),
    ("five", "Five: five exact rules, events of 955 bytes, in cache"),
]


def render(state):
    section = state["sections"]["match"]
    data = section["data"]
    out = [f"Measured on {state['machine'].split(', a sync')[0]}; commit `{section['commit']}`, "
           f"{section['date']}, `{section['command']}`.\n",
           "## Goals\n", goal_table(data), "![Time an event against rules](rules.svg)\n"]
    for name, title in PEER_PARTS:
        text = peer_table(data, name)
        if text:
            out += [f"## {title}\n", text]
    out += ["## All figures\n", detail_table(data)]
    if data["hurt"]:
        out += ["## Built to hurt\n", hurt_table(data)]
    if data.get("changes"):
        out += ["## Changes while it runs\n", f"```\n{data['changes'].rstrip()}\n```\n"]
    return "\n".join(out)


def plot(data):
    series = []
    for name in ("mix", "nonum", "hard", "flat"):
        line = [(rules, p["match_ns"]) for rules, p in by_rules(data, name).items()]
        if line:
            series.append((f"EventFlow, {name}", True, line))
    for name, others in (("mix", (RULER, BETREE, KINDEX)), ("nonum", (QUAMINA,)),
                         ("mix", (LOOP,))):
        series += [(f"{peer.split(' (')[0]}, {name}", False, list(PUBLISHED[name][peer].items()))
                   for peer in others]
    return log_plot("Time to read an event and match it", "rules", "an event", series,
                    [" ns", " us", " ms", " s"])


def write(folder, state):
    path = folder / "README.md"
    before, rest = path.read_text().split(BEGIN, 1)
    path.write_text(f"{before}{BEGIN}\n\n{render(state)}\n{END}{rest.split(END, 1)[1]}")
    (folder / "rules.svg").write_text(plot(state["sections"]["match"]["data"]))
