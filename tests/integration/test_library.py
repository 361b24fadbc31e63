"""libeventflow-match as a stranger meets it: installed into a folder, found by pkg-config, compiled
against, and looked into. Twice: as it is in the build under test, with its sanitizers, and as it is
in build/faults, without."""
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import BINARY, ROOT

BUILDS = {"tested": Path(BINARY).resolve().parent,
          "plain": Path(os.environ.get("EF_FAULTS", ROOT / "build/faults")).resolve()}
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
# Writable all the same: the number that GLib gives the error domain (G_DEFINE_QUARK), always the same
# one, and what the address sanitizer adds.
WRITABLE = re.compile(r"q\.\d+|(\.hidden )?__odr_asan\..*|\..*")


def ask(*command, **options):
    result = subprocess.run([str(c) for c in command], text=True, capture_output=True, timeout=120,
                            **options)
    assert result.returncode == 0, f"{result.args}: {result.stderr}"
    return result.stdout


class Installed:
    """What `meson install` put into a folder, and how to compile against it."""

    def __init__(self, build, folder):
        ask("meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", folder)
        self.config = next(folder.rglob("eventflow-match.pc"))
        self.libraries = self.config.parent.parent
        self.shared = self.libraries / "libeventflow-match.so"
        self.archive = self.libraries / "libeventflow-match.a"
        self.header = next(folder.rglob("eventflow-match.h"))
        self.example = next(folder.rglob("examples/match.c"))
        options = json.loads(ask("meson", "introspect", "--buildoptions", build))
        self.sanitizers = next(o["value"] for o in options if o["name"] == "b_sanitize")
        targets = json.loads(ask("meson", "introspect", "--targets", build))
        self.compiler = next(sources["compiler"] for target in targets
                             if target["name"] == "match-parts"
                             for sources in target["target_sources"] if "compiler" in sources)
        self.flags = [] if self.sanitizers == "none" else [f"-fsanitize={self.sanitizers}"]
        self.environment = {**os.environ, "PKG_CONFIG_PATH": str(self.config.parent)}

    def run(self, program, **options):
        return subprocess.run([program], text=True, capture_output=True, timeout=60, **options)


@pytest.fixture(scope="module", params=BUILDS)
def installed(request, tmp_path_factory):
    build = BUILDS[request.param]
    if not (build / "src/lib/libeventflow-match.a").exists():
        pytest.skip(f"the library was not built in {build}")
    return Installed(build, tmp_path_factory.mktemp("installed"))


def documented_commands(text):
    """The lines "cc match.c …" of a comment, those that go on with a backslash as one."""
    text = re.sub(r"\\\n \*\s*", "", text)
    return re.findall(r"^ \*\s+(cc match\.c .*)$", text, re.M)


def compile_example(installed, command, folder):
    """As documented, but with the build's compiler, its sanitizers, and no warning let through."""
    shutil.copy(installed.example, folder)
    command = command.replace("cc", " ".join([*installed.compiler, *installed.flags, "-std=c11",
                                              *STRICT]), 1)
    ask("sh", "-c", command, cwd=folder, env=installed.environment)
    return folder / "match"


def check_example(installed, program, **options):
    events = ('{"type":"purchase","amount":75,"customer":{"tags":["vip"]}}\n'
              '{"type":"purchase","amount":"75"}\n'
              '{"customer":{"email":"a@example.com","tags":["new","vip"]}}\n')
    result = installed.run(program, input=events, **options)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "1: big-purchase vip\n2:\n3: vip test-account\n"
    result = installed.run(program, input='{"type":\n{"customer":{"tags":["vip"]}}\n', **options)
    assert result.returncode == 1 and result.stdout == "2: vip\n"
    assert result.stderr == "event 1: the text ends too early at line 2, column 1 (byte 9)\n"


def test_the_example_runs_with_the_shared_library(installed, tmp_path):
    command, _ = documented_commands(installed.example.read_text())
    program = compile_example(installed, command, tmp_path)
    check_example(installed, program,
                  env={**os.environ, "LD_LIBRARY_PATH": str(installed.libraries)})
    assert "libeventflow-match.so.0" in ask("readelf", "-d", program)


def test_the_example_runs_with_the_static_library(installed, tmp_path):
    _, command = documented_commands(installed.example.read_text())
    program = compile_example(installed, command, tmp_path)
    check_example(installed, program)
    assert "eventflow" not in ask("readelf", "-d", program)


@pytest.mark.parametrize("installed", ["plain"], indirect=True)  # sanitizers are shared libraries
def test_the_example_runs_without_any_shared_library(installed, tmp_path):
    manual = (ROOT / "docs/eventflow-match.3").read_text()
    command = re.search(r"^\.Dl (cc -static .*)$", manual, re.M).group(1)
    program = compile_example(installed, command, tmp_path)
    check_example(installed, program)
    assert "NEEDED" not in ask("readelf", "-d", program)


def declared(installed):
    return set(re.findall(r"\b(ef_match_\w+)\(", installed.header.read_text()))


def test_nothing_but_the_header_s_functions_can_be_seen(installed):
    assert len(declared(installed)) > 10
    for arguments in (["-D", installed.shared], ["-g", installed.archive]):
        lines = ask("nm", "--defined-only", *arguments).splitlines()
        symbols = [line.split() for line in lines if len(line.split()) == 3]
        assert {name for _, kind, name in symbols} == declared(installed)
        assert {kind for _, kind, name in symbols} == {"T"}


def test_the_library_has_no_global_variables(installed):
    table = ask("objdump", "-t", installed.archive)
    names = re.findall(r"^\S+ .{7} (?:\.t?data|\.t?bss|\*COM\*)\t\S+ (.*)$", table, re.M)
    assert [name for name in names if not WRITABLE.fullmatch(name)] == []
    assert re.search(r"\.text\t\S+ ef_match_find$", table, re.M), "the table was not understood"


def test_the_shared_library_needs_no_database_and_stays_loaded(installed):
    """GLib keeps a pointer into it for good (the error domain), so dlclose must not unload it."""
    dynamic = ask("readelf", "-d", installed.shared)
    needed = set(re.findall(r"NEEDED.*\[(lib\w+)", dynamic))
    assert needed <= {"libglib", "libxxhash", "libm", "libc", "libasan", "libubsan", "libtsan"}
    assert "[libeventflow-match.so.0]" in dynamic and "NODELETE" in dynamic


def test_the_header_stands_alone_in_c(installed):
    ask(*installed.compiler, "-std=c11", *STRICT, "-Wstrict-prototypes", "-Wc++-compat",
        "-fsyntax-only", "-x", "c", installed.header)


def test_a_cpp_program_can_use_it(installed, tmp_path):
    compiler = shutil.which("g++" if "gcc" in installed.compiler[-1] or
                            installed.compiler[-1] == "cc" else "clang++")
    if compiler is None:
        pytest.skip("no C++ compiler of the kind that built the library")
    source = tmp_path / "cpp.cpp"
    source.write_text("""#include <eventflow-match.h>
        #include <cstring>
        int main()
        {
            ef_match_options options = EF_MATCH_OPTIONS_INIT;
            ef_match_compiler_free(ef_match_compiler_new(&options, nullptr));
            return std::strcmp(ef_match_version(), EF_MATCH_VERSION);
        }""")
    flags = ask("pkg-config", "--cflags", "--libs", "eventflow-match", env=installed.environment)
    ask(compiler, "-std=c++11", *STRICT, *installed.flags, source, "-o", tmp_path / "cpp",
        *flags.split())
    result = installed.run(tmp_path / "cpp",
                           env={**os.environ, "LD_LIBRARY_PATH": str(installed.libraries)})
    assert (result.returncode, result.stderr) == (0, "")


def test_the_versions_agree(installed):
    version = ask("pkg-config", "--modversion", "eventflow-match",
                  env=installed.environment).strip()
    assert f'#define EF_MATCH_VERSION       "{version}"' in installed.header.read_text()
    assert ask(BINARY, "--version").split()[-1] == version


def test_the_manuals_are_well_formed_and_name_every_function(installed):
    manual = (ROOT / "docs/eventflow-match.3").read_text()
    assert set(re.findall(r"^\.Fn (ef_match_\w+)", manual, re.M)) == declared(installed)
    for page in ("eventflow-match.3", "eventflow.1"):
        result = subprocess.run(["mandoc", "-Tlint", "-Wwarning", ROOT / "docs" / page], text=True,
                                capture_output=True, timeout=60)
        assert (result.returncode, result.stdout) == (0, "")
