"""What a release must not have: the named fault points, and the programs broken on purpose."""
import os
import subprocess
from pathlib import Path

import pytest

import fault_points
from server import ROOT

RELEASE = Path(os.environ.get("EF_RELEASE", ROOT / "build/release/eventflow"))
SOURCE = ROOT / "src/common/fault_point.c"
VARIABLE = b"EVENTFLOW_TEST_FAULT"


@pytest.mark.parametrize("option", ["test_hooks", "fault_builds"])
def test_a_release_with_faults_cannot_be_configured(tmp_path, option):
    result = subprocess.run(["meson", "setup", tmp_path / "build", ROOT, "-Dhardening=true",
                             f"-D{option}=true"], stdout=subprocess.PIPE, text=True, timeout=120)
    assert result.returncode != 0, result.stdout
    assert "has neither -Dtest_hooks=true" in result.stdout, result.stdout


def test_without_the_switch_nothing_of_the_points_is_compiled(tmp_path):
    """With it the same source has the variable's name, so the look at it is worth something."""
    flags = subprocess.run(["pkg-config", "--cflags", "glib-2.0"], check=True, text=True,
                           stdout=subprocess.PIPE).stdout.split()
    for switch, has_points in (("-DEF_TEST_HOOKS=1", True), ("-UEF_TEST_HOOKS", False)):
        made = tmp_path / "fault_point.o"
        subprocess.run(["cc", "-c", "-std=gnu17", "-D_GNU_SOURCE", switch, *flags, f"-I{ROOT}/src",
                        SOURCE, "-o", made], check=True)
        assert (VARIABLE in made.read_bytes()) == has_points


def test_the_release_binary_has_no_fault_points():
    if not RELEASE.exists():
        pytest.skip(f"{RELEASE} is not built: make build")
    content = RELEASE.read_bytes()
    assert VARIABLE not in content
    assert not [name for name in fault_points.named_points() if name.encode() + b"\0" in content]
