"""A rule that the shim does not understand ends the program at once: it would inject nothing, and
its test would pass for the wrong reason."""
import os
import signal
import subprocess
import sys

import pytest

from rig import Shim

WRITE = "import os; os.write(os.open('{}', os.O_CREAT | os.O_WRONLY), b'x')"


def write_below(folder, rules):
    """A program that writes one file, under these rules."""
    folder.mkdir()
    shim = Shim(folder, folder.parent, rules)
    return subprocess.run([sys.executable, "-c", WRITE.format(folder / "file")], text=True,
                          stderr=subprocess.PIPE, env={**os.environ, **shim.env})


@pytest.mark.parametrize("rules", [
    "write * errno=EIOO", "write * errno=0", "write * errno=-5", "write * errno=5x", "wrote *",
    "write", "write * form=1", "write * errno="])
def test_a_rule_that_is_not_understood_is_refused(tmp_path, rules):
    result = write_below(tmp_path / "data", rules)
    assert result.returncode == -signal.SIGABRT and "cannot read" in result.stderr, result


@pytest.mark.parametrize("rules", ["write * errno=ENOSPC", "write * at=1 errno=28"])
def test_an_error_by_name_or_number_is_injected(tmp_path, rules):
    result = write_below(tmp_path / "data", rules)
    assert result.returncode == 1 and "No space left" in result.stderr, result
