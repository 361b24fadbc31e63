#!/usr/bin/python3
"""The rules of the house that a compiler cannot see. Prints one line a rule; exit 1 on a breach.

Layers, one file per third-party header, function and file length, unlisted test files, banned
functions, the core's purity, mutable file-scope variables, headers that include themselves first,
links between the documents. Run by `make check` and with the tests.
"""
import re
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"

MAY_INCLUDE = {
    "common": {"common"},
    "core": {"common", "core"},
    "queue": {"common", "queue"},
    "store": {"common", "core", "store"},
    "intake": {"common", "core", "queue", "store", "intake"},
    "worker": {"common", "core", "queue", "store", "worker"},
    "api": {"common", "core", "queue", "store", "intake", "api"},
    "cli": {"common", "core", "queue", "store", "intake", "worker", "api", "cli"},
    "lib": {"common", "core", "lib"},
}
# A third-party header stands in one file only; sqlite in one a backend.
THIRD_PARTY = {
    # common/ has what both backends do to a file of SQLite, whatever is in it.
    "sqlite3.h": {"src/common/wal_keeper.c", "src/common/sqlite_copy.c",
                  "src/common/sqlite_compare.c",
                  "src/store/sqlite_internal.h", "src/queue/embedded_internal.h",
                  "src/store/sqlite.c", "src/queue/embedded.c"},
    "xxhash.h": {"src/common/hash.c"},
    "curl/curl.h": {"src/cli/client.c"},
    "gio/gio.h": {"src/api/resources.c", "src/cli/examples.c"},
    "jansson.h": set(),  # the tests' second opinion
}
CORE_BANNED = {"stdio.h", "unistd.h", "pthread.h", "time.h", "sys/socket.h", "netinet/in.h",
               "arpa/inet.h", "fcntl.h", "sys/time.h"}
BANNED = ("strcpy strcat strncpy strncat sprintf vsprintf strtok gets atoi atol gmtime localtime "
          "ctime asctime rand system alloca").split()
FUNCTION_MAX = 100
FILE_MAX = 1200
# Mutable file-scope variables are allowed in logging, metrics and for the signal flag.
MUTABLE_ALLOWED = {"src/common/log.c", "src/common/metrics.c", "src/cli/cmd_serve.c",
                   "src/common/fault_point.c"}

breaches = []


def breach(rule, text):
    breaches.append((rule, text))


def sources(*folders, endings=(".c", ".h")):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in endings:
                yield path


def name_of(path):
    return str(path.relative_to(ROOT))


def without_comments(text):
    """Comments and string contents blanked, line structure kept."""
    def blank(match):
        found = match.group(0)
        if found.startswith("/"):
            return re.sub(r"[^\n]", " ", found)
        return found[0] + re.sub(r"[^\n]", " ", found[1:-1]) + found[-1]
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text,
                  flags=re.S)


def check_layers():
    for path in sources("src"):
        folder = path.relative_to(SRC).parts[0]
        if folder not in MAY_INCLUDE:
            continue  # main.c
        for line in path.read_text().splitlines():
            found = re.match(r'#include "([a-z]+)/', line)
            if found and found.group(1) not in MAY_INCLUDE[folder]:
                breach("layers", f"{name_of(path)} includes {found.group(1)}/: not allowed there")
            if re.match(r'#include "\.\./', line):
                breach("layers", f"{name_of(path)}: include by folder, never by ../")


def check_third_party():
    for path in sources("src", "bench"):
        for line in path.read_text().splitlines():
            found = re.match(r"#include <([^>]+)>", line)
            if found and found.group(1) in THIRD_PARTY:
                if name_of(path) not in THIRD_PARTY[found.group(1)]:
                    breach("third-party headers", f"{name_of(path)} includes {found.group(1)}")


def check_core_is_pure():
    for path in sources("src/core"):
        for line in path.read_text().splitlines():
            found = re.match(r"#include <([^>]+)>", line)
            if found and found.group(1) in CORE_BANNED:
                breach("pure core", f"{name_of(path)} includes {found.group(1)}")
        if "clock.h" in path.read_text():
            breach("pure core", f"{name_of(path)} reads the clock")


def functions(path):
    """(name, first line, length) of every function: a body opens and closes at column 0."""
    lines = path.read_text().splitlines()
    opened = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            opened = number
        elif line == "}" and opened is not None:
            head = opened - 1
            while head > 1 and lines[head - 2] and not lines[head - 2].endswith((";", "}", "*/")) \
                    and not lines[head - 2].startswith("#"):
                head -= 1
            found = re.search(r"(\w+)\(", " ".join(lines[head - 1:opened]))
            yield (found.group(1) if found else "?"), head, number - head + 1
            opened = None


def check_sizes():
    lengths = []
    for path in sources("src", "tests", "bench"):
        count = len(path.read_text().splitlines())
        if count > FILE_MAX:
            breach("sizes", f"{name_of(path)} has {count} lines (at most {FILE_MAX})")
        if path.suffix != ".c":
            continue
        for name, line, length in functions(path):
            if path.is_relative_to(SRC):
                lengths.append(length)
            if length > FUNCTION_MAX:
                breach("sizes", f"{name_of(path)}:{line} {name} has {length} lines "
                                f"(at most {FUNCTION_MAX})")
    if len(lengths) > 10:
        tenths = statistics.quantiles(lengths, n=10)
        if statistics.median(lengths) > 15 or tenths[8] > 50:
            breach("sizes", f"functions: median {statistics.median(lengths):.0f} lines (at most 15), "
                            f"p90 {tenths[8]:.0f} (at most 50)")


def check_tests_listed():
    listings = "".join(p.read_text() for p in (ROOT / "tests").rglob("meson.build"))
    for path in sorted((ROOT / "tests").rglob("*.c")):
        stem = re.sub(r"^(test_|fuzz_)", "", path.stem)
        if not re.search(rf"'({re.escape(path.stem)}|{re.escape(stem)}|{re.escape(path.name)})'",
                         listings):
            breach("tests are listed", f"{name_of(path)} is in no meson.build")
    listed = "".join(p.read_text() for p in SRC.rglob("meson.build")) + \
        (ROOT / "meson.build").read_text()
    for path in sorted(SRC.rglob("*.c")):
        if not re.search(rf"['/]{re.escape(path.name)}'", listed):
            breach("tests are listed", f"{name_of(path)} is built by no meson.build")


def check_banned():
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
    for path in sources("src", "tests", "bench"):
        if path.name == "banned.h":
            continue
        for number, line in enumerate(without_comments(path.read_text()).splitlines(), 1):
            found = pattern.search(line)
            if found:
                breach("banned functions", f"{name_of(path)}:{number} uses {found.group(1)}")


def check_own_header_first():
    for path in sources("src", endings=(".c",)):
        own = path.with_suffix(".h")
        if not own.exists():
            continue
        found = re.search(r'^#include\s+(.*)$', path.read_text(), re.M)
        wanted = f'"{own.relative_to(SRC)}"'
        if not found or found.group(1).strip() != wanted:
            breach("own header first", f"{name_of(path)} must include {wanted} first")


def file_scope_statements(text):
    """What stands outside of all braces, a statement each; bodies are shown as {}."""
    statement = ""
    depth = 0
    for char in re.sub(r"^#(?:\\\n|.)*", "", without_comments(text), flags=re.M):
        if char == "{":
            depth += 1
            if depth == 1:
                statement += "{"
        elif char == "}":
            depth -= 1
            if depth == 0:
                statement += "}"
                if re.search(r"\)\s*\{\}$", statement):
                    statement = ""  # a function
        elif depth == 0:
            if char == ";":
                yield " ".join(statement.split())
                statement = ""
            else:
                statement += char


def check_mutable_globals():
    for path in sources("src", endings=(".c",)):
        if name_of(path) in MUTABLE_ALLOWED:
            continue
        for statement in file_scope_statements(path.read_text()):
            declaration = statement.split("=")[0]
            if "(" in declaration or re.match(r"(typedef|extern|_Static_assert)\b", declaration):
                continue
            if re.search(r"\bconst\b", declaration) or \
                    re.fullmatch(r"(struct|enum|union)( \w+)? ?(\{\})?", declaration.strip()):
                continue
            if re.match(r"(G_DEFINE|G_LOCK)", declaration) or not declaration.strip():
                continue
            breach("no mutable globals", f"{name_of(path)}: {statement[:80]}")


def check_headers_documented():
    for path in sources("src", endings=(".h",)):
        if not path.read_text().startswith("/*"):
            breach("headers say what they are", f"{name_of(path)} has no opening comment")
    code = comments = 0
    for path in sources("src"):
        inside = False
        for line in path.read_text().splitlines():
            stripped = line.strip()
            if inside or stripped.startswith("/*"):
                comments += 1
                inside = "*/" not in stripped
            elif stripped:
                code += 1
                comments += "/*" in stripped
    if code > 1000 and comments / code < 0.18:
        breach("headers say what they are", f"{comments / code:.2f} comment lines a code line "
                                            "(at least 0.18)")


def check_document_links():
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text()):
            if "://" not in target and not (path.parent / target).exists():
                breach("document links", f"{name_of(path)} links to {target}, which is not there")


RULES = {
    "layers": check_layers,
    "third-party headers": check_third_party,
    "pure core": check_core_is_pure,
    "sizes": check_sizes,
    "tests are listed": check_tests_listed,
    "banned functions": check_banned,
    "own header first": check_own_header_first,
    "no mutable globals": check_mutable_globals,
    "headers say what they are": check_headers_documented,
    "document links": check_document_links,
}


def main():
    for rule, run in RULES.items():
        run()
        texts = [text for name, text in breaches if name == rule]
        print(f"{'not ok' if texts else 'ok'} - check: {rule}")
        for text in texts:
            print(f"    {text}")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
