"""The named fault points of the sources, and which of them were passed. Test builds append the name
of each point to $EVENTFLOW_TEST_FAULT_HITS when a process first passes it, and name!action when a
fault first happens there."""
import os
import re
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2] / "src"
HITS = "EVENTFLOW_TEST_FAULT_HITS"


def named_points():
    """Every point that stands in the sources."""
    found = set()
    for path in sorted(SOURCES.rglob("*.c")):
        found.update(re.findall(r'EF_FAULT(?:_ABOUT)?\(\s*"([^"]+)"', path.read_text()))
    return sorted(found)


def hits():
    """Names and faults in the order in which processes met them; one may stand there often."""
    path = Path(os.environ.get(HITS, "/nonexistent"))
    return path.read_text().split() if path.exists() else []


def never_passed():
    return sorted(set(named_points()) - set(hits()))
