"""What the fault tests share with the integration tests lives one folder up. Beside that: a whole
run fails when a named fault point of the sources was never passed."""
import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import fault_points  # noqa: E402
from fixtures import make_server, server  # noqa: E402,F401


def pytest_configure(config):
    """All servers of the run write into one file, unless a file was given."""
    if fault_points.HITS not in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="eventflow-hits-")
        config.add_cleanup(folder.cleanup)
        os.environ[fault_points.HITS] = str(Path(folder.name) / "hits")


def is_whole_run(session):
    """Every test file took part: a part of them need not pass every point."""
    ran = {Path(item.path) for item in session.items}
    return not session.config.option.keyword and set(HERE.glob("test_*.py")) <= ran


def pytest_sessionfinish(session, exitstatus):
    missing = fault_points.never_passed()
    if exitstatus == 0 and missing and is_whole_run(session):
        print(f"\nnever passed by any test: {', '.join(missing)}")
        session.exitstatus = 1
