#!/usr/bin/python3
"""Runs every test of a build folder and closes with "N passed, N failed".

Order: the rules of the house, unit, contract and fuzz-corpus tests (meson, TAP), then the
integration tests (pytest) against the built program, then the fault tests (pytest) against one
without sanitizers. A suite that runs no test fails.
"""
import argparse
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add_suite(self, name, passed, failed, skipped, seconds):
        if passed + failed == 0:
            print(f"{name}: no test ran: that is a failure")
            failed = 1
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        print(f"== {name}: {passed} passed, {failed} failed, {skipped} skipped, {seconds:.0f} s",
              flush=True)


def run_checks(tally):
    began = time.monotonic()
    run = subprocess.run([sys.executable, ROOT / "scripts/check.py"], stdout=subprocess.PIPE,
                         text=True)
    print(run.stdout, end="", flush=True)
    lines = run.stdout.splitlines()
    tally.add_suite("checks", sum(line.startswith("ok ") for line in lines),
                    sum(line.startswith("not ok ") for line in lines), 0,
                    time.monotonic() - began)


def count_junit(path):
    """passed, failed, skipped of a JUnit file; a suite that ended badly counts as a failure."""
    passed = failed = skipped = 0
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        suite_failed = 0
        for case in suite.iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                suite_failed += 1
            elif case.find("skipped") is not None:
                skipped += 1
            else:
                passed += 1
        if suite_failed == 0 and int(suite.get("errors", 0)) + int(suite.get("failures", 0)) > 0:
            suite_failed = 1
        failed += suite_failed
    return passed, failed, skipped


def environment(tools, **more):
    """Ours, with the unpacked tools (promtool) within reach."""
    return {**os.environ, "PATH": f"{os.environ['PATH']}:{tools / 'usr/bin'}",
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1", **more}


def run_meson(tally, build, tools):
    began = time.monotonic()
    report = build / "meson-logs" / "testlog.junit.xml"
    report.unlink(missing_ok=True)
    run = subprocess.run(["meson", "test", "-C", build, "--no-rebuild", "--print-errorlogs",
                          "--timeout-multiplier", "4"],
                         env=environment(tools, G_DEBUG="fatal-criticals"))
    counts = count_junit(report) if report.exists() else (0, 0, 0)
    if run.returncode != 0 and counts[1] == 0:
        counts = (counts[0], 1, counts[2])
    tally.add_suite("unit, contract, fuzz corpora", *counts, time.monotonic() - began)


def run_pytest(tally, name, folder, report, extra, variables):
    began = time.monotonic()
    report.unlink(missing_ok=True)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider",
         f"--junitxml={report}", ROOT / folder, *extra],
        env={**variables, "PYTHONDONTWRITEBYTECODE": "1"})
    counts = count_junit(report) if report.exists() else (0, 0, 0)
    if run.returncode != 0 and counts[1] == 0:
        counts = (counts[0], 1, counts[2])
    tally.add_suite(name, *counts, time.monotonic() - began)


def run_faults(tally, faults, tools, is_soak, extra):
    variables = environment(tools, EF_BINARY=str(faults / "eventflow"), EF_FAULTS=str(faults))
    if is_soak:
        variables["EF_SOAK"] = "1"
        extra = ["-v", *extra]  # a line a test: it takes long
    run_pytest(tally, "soak" if is_soak else "faults", "tests/fault", faults / "pytest.xml", extra,
               variables)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, help="all tests but those of faults")
    parser.add_argument("--faults", type=Path, help="the fault tests, with the programs made there")
    parser.add_argument("--soak", action="store_true", help="long runs of the fault tests")
    parser.add_argument("--tools", type=Path, default=ROOT / "build/tools")
    parser.add_argument("pytest", nargs="*", help="further arguments for pytest")
    options = parser.parse_args()
    tools = options.tools.resolve()
    tally = Tally()
    if options.build is not None:
        build = options.build.resolve()
        run_checks(tally)
        run_meson(tally, build, tools)
        run_pytest(tally, "integration", "tests/integration", build / "pytest.xml", options.pytest,
                   environment(tools, EF_BINARY=str(build / "eventflow")))
    if options.faults is not None:
        run_faults(tally, options.faults.resolve(), tools, options.soak, options.pytest)
    if tally.skipped:
        print(f"{tally.skipped} skipped, reasons above")
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
