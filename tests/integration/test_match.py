"""`eventflow match`: the engine alone, on files and pipes."""
import json
import os
import random
import re
import select
import signal
import subprocess

import pytest
from conftest import BINARY, ROOT, run, wait_until

STATS = re.compile(r"events=(\d+) patterns=(\d+) build_s=\d+\.\d+ match_s=(\d+\.\d+) "
                   r"ns_per_event=(\d+\.\d+)\n")
PEER_CASES = ROOT.parent / "shared/conformance/event-ruler-cases.ndjson"


def write(path, lines):
    path.write_text("".join(line + "\n" for line in lines))
    return path


def patterns_of(path, patterns):
    """A pattern file; the ids are the keys, as JSON."""
    return write(path, [f'{{"id":{i},"pattern":{p if isinstance(p, str) else json.dumps(p)}}}'
                        for i, p in patterns.items()])


def match(patterns, events, *flags, **options):
    return run("match", "--patterns", patterns, "--events", events, *flags, **options)


@pytest.fixture
def some(tmp_path):
    """Three patterns on x and y."""
    return patterns_of(tmp_path / "p.ndjson",
                       {'"one"': {"x": [1]}, '"any"': {"y": [{"exists": True}]},
                        '"not"': {"x": [{"anything-but": 1}]}})


def answers(result):
    assert result.returncode == 0 and result.stderr == "", result
    return [json.loads(line) for line in result.stdout.splitlines()]


# ---- what is printed -----------------------------------------------------------------------------

def test_each_event_gets_one_line_with_the_ids_that_match(some, tmp_path):
    events = write(tmp_path / "e.ndjson", ['{"x":1}', '{"x":2,"y":null}', '{}', '{"z":[]}',
                                           '{"y":0,"x":[1,2]}'])
    result = match(some, events)
    assert result.stdout == '["one"]\n["any","not"]\n[]\n[]\n["one","any","not"]\n'
    assert result.returncode == 0 and result.stderr == ""


def test_ids_stand_in_the_order_of_the_patterns_whatever_it_is(tmp_path):
    names = [f'"p-{i}"' for i in range(300)]
    rules = {n: {"x": [i % 3, 7]} for i, n in enumerate(names)}
    events = write(tmp_path / "e.ndjson", ['{"x":7}', '{"x":0}'])
    for seed in range(3):
        order = random.Random(seed).sample(names, len(names))
        found = answers(match(patterns_of(tmp_path / "p.ndjson", {n: rules[n] for n in order}),
                              events))
        assert found[0] == [json.loads(n) for n in order]
        assert found[1] == [json.loads(n) for n in order if rules[n]["x"][0] == 0]


def test_an_id_is_printed_as_it_is_written(tmp_path):
    ids = ["7", "-1.50e3", "12345678901234567890", '"7"', '"é"', '"\\u00e9\\"\\\\/"', '""', "7.0",
           '"\\ud83d\\ude00"', '"\U0001f600 \\t"']
    path = patterns_of(tmp_path / "p.ndjson", {i: {"x": [{"exists": True}]} for i in ids})
    result = match(path, "-", stdin='{"x":"\\u0078"}')
    assert result.stdout == f"[{','.join(ids)}]\n"
    assert len(json.loads(result.stdout)) == len(ids)


def test_events_may_be_any_objects(tmp_path):
    path = patterns_of(tmp_path / "p.ndjson", {
        "1": {"event_id": [5]}, "2": {"ä": {"ß": ["ü"]}}, "3": {"": ["empty"]}, "4": {"a.b": [1]},
        "5": {"detail": [{"prefix": "käse"}]}})
    events = ['{"event_id":5,"timestamp":{},"payload":"text"}', '{"ä":[{"\\u00df":"\\u00fc"}]}',
              '{"":"empty"}', '{"a":{"b":1}}', '{"detail":"käsebrot"}', '{"a":1,"a":{"b":1}}']
    assert answers(match(path, write(tmp_path / "e.ndjson", events))) == \
        [[1], [2], [3], [4], [5], [4]]


def test_blank_lines_line_ends_and_a_byte_order_mark_are_nothing(tmp_path):
    path = tmp_path / "p.ndjson"
    path.write_bytes(b'\xef\xbb\xbf\r\n  \n{"note":"mine","pattern":{"x":[1]},"id":1}\r\n\n')
    events = tmp_path / "e.ndjson"
    events.write_bytes(b'\xef\xbb\xbf{"x":1}\r\n\n\t\r\n  {"x":2}  \n\n{"x":1}')
    assert answers(match(path, events)) == [[1], [], [1]]


def test_no_patterns_and_no_events_are_no_mistake(some, tmp_path):
    empty = write(tmp_path / "empty", [])
    assert answers(match(empty, "-", stdin='{"x":1}\n{}\n')) == [[], []]
    result = match(some, empty, "--stats")
    assert result.returncode == 0 and result.stdout == ""
    assert STATS.fullmatch(result.stderr).groups() == ("0", "3", "0.000000", "0.0")


def test_either_file_may_be_standard_input_but_not_both(some, tmp_path):
    events = write(tmp_path / "e.ndjson", ['{"x":1}'])
    assert answers(match(some, "-", stdin='{"x":1}')) == [["one"]]
    assert answers(match("-", events, stdin=some.read_text())) == [["one"]]
    assert match("-", "-", stdin="").returncode == 64


def test_stats_count_and_time(some, tmp_path):
    events = write(tmp_path / "e.ndjson", ['{"x":1}'] * 5000)
    result = match(some, events, "--stats")
    count, patterns, seconds, each = STATS.fullmatch(result.stderr).groups()
    assert (result.returncode, count, patterns) == (0, "5000", "3")
    assert abs(float(seconds) * 1e9 / 5000 - float(each)) < 1
    assert result.stdout == '["one"]\n' * 5000


def test_explain_says_why_the_others_do_not_match(some, tmp_path):
    result = match(some, "-", "--explain", stdin='{"x":"1"}\n{"x":1,"y":1}\n')
    lines = answers(result)
    assert lines[0]["matches"] == ["not"]
    assert [n["id"] for n in lines[0]["not"]] == ["one", "any"]
    assert [n["path"] for n in lines[0]["not"]] == ["x", "y"]
    assert lines[0]["not"][0]["expected"] == [1] and lines[0]["not"][0]["actual"] == "1"
    assert all(n["text"] for line in lines for n in line["not"])
    assert lines[1]["matches"] == ["one", "any"] and [n["id"] for n in lines[1]["not"]] == ["not"]
    assert all("more" not in line for line in lines)
    first = answers(match(some, "-", "--explain", "--explain-max=1", stdin='{}'))[0]
    assert [n["id"] for n in first["not"]] == ["one"] and first["more"] == 2
    plain = answers(match(some, "-", stdin='{"x":"1"}\n{"x":1,"y":1}\n'))
    assert plain == [line["matches"] for line in lines]


def test_reasons_tell_null_from_absent_and_which_branch_it_is(tmp_path):
    patterns = write(tmp_path / "p.ndjson", [
        '{"id":"plain","pattern":{"x":[1]}}',
        '{"id":"or","pattern":{"$or":[{"x":[1],"y":[1]},{"x":[2]}]}}'])
    result = match(patterns, "-", "--explain", stdin='{"x":null}\n{}\n')
    null, absent = (line["not"] for line in answers(result))
    assert [n["absent"] for n in null] == [False, False] and null[0]["actual"] is None
    assert [n["absent"] for n in absent] == [True, True] and absent[0]["actual"] is None
    assert "branch" not in null[0] and "branches" not in null[0]
    assert (null[1]["branch"], null[1]["branches"]) == (2, 2)


def test_names_in_wrong_patterns_do_not_reach_the_terminal_as_they_are(tmp_path):
    patterns = write(tmp_path / "p.ndjson", [
        r'{"id":1,"pattern":{"x":{"a\u001b[31m\nb":[1]},"x.a\u001b[31m\nb":[2]}}'])
    result = match(patterns, "-", stdin="")
    assert result.returncode == 65 and "is named twice" in result.stderr
    assert "\x1b" not in result.stderr and result.stderr.count("\n") == 2


def test_trusted_events_are_answered_the_same(some):
    events = '{"x":1,"y":1}\n{"z":{"x":[1,"}"]},"x":"1"}\n{}\n{"y":null}\n'
    whole = match(some, "-", stdin=events)
    trusted = match(some, "-", "--trusted", stdin=events)
    assert trusted.returncode == 0 and trusted.stdout == whole.stdout
    assert match(some, "-", "--trusted", stdin='{"x"\n').returncode == 0


def test_the_guide_s_example_answers_what_it_says(tmp_path):
    text = (ROOT / "docs/matching.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```\n\n```(?:json)?\n(.*?)```", text, re.S)
    assert len(blocks) == 2
    (tmp_path / "eventflow").symlink_to(os.path.abspath(BINARY))
    for command, says in blocks:
        result = subprocess.run(["sh", "-ec", command], cwd=tmp_path, text=True, timeout=60,
                                env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
                                stdout=subprocess.PIPE)
        assert result.returncode == 0 and result.stdout.startswith(says.split(", …")[0])
        assert " …" in says or result.stdout == says


# ---- what is refused -----------------------------------------------------------------------------

@pytest.mark.parametrize("flags", [[], ["--patterns", "p"], ["--events", "e"], ["p", "e"],
                                   ["--patterns", "p", "--events", "e", "more"],
                                   ["--patterns", "p", "--events", "e", "--line-max", "5"],
                                   ["--patterns", "p", "--events", "e", "--trusted", "--explain"],
                                   ["--patterns", "p", "--events", "e", "--statistics"]])
def test_wrong_use_ends_with_64(flags):
    result = run("match", *flags)
    assert result.returncode == 64 and result.stdout == "" and "eventflow match: " in result.stderr


def test_help_names_every_exit_code():
    result = run("match", "--help")
    assert result.returncode == 0
    assert all(code in result.stdout for code in (" 64 ", " 65 ", " 66 ", " 74"))


def test_a_file_that_cannot_be_opened_ends_with_66(some, tmp_path):
    for patterns, events in ((tmp_path / "none", "-"), (some, tmp_path / "none"), (some, tmp_path),
                             (tmp_path, "-")):
        result = match(patterns, events, stdin="")
        assert result.returncode == 66 and str(tmp_path) in result.stderr, result


@pytest.mark.parametrize("line, place", [
    ('{"id":2,"pattern":{"a":{"b/c":[{"numeric":["<"]}]}}}', "#/pattern/a/b~1c/0/numeric"),
    ('{"id":2,"pattern":{}}', "#/pattern: "),
    ('{"id":2,"pattern":"{}"}', "#/pattern: "),
    ('{"id":2,"pattern":{"a":[{"prefx":"x"}]}}', '#/pattern/a/0/prefx: unknown operator'),
    ('{"id":2}', "#/pattern: is required"),
    ('{"pattern":{"a":[1]}}', "#/id: is required"),
    ('{"id":null,"pattern":{"a":[1]}}', "#/id: must be a string or a number, not null"),
    ('{"id":["2"],"pattern":{"a":[1]}}', "#/id: must be a string or a number, not an array"),
    ('{"id":1,"pattern":{"a":[1]}}', "#/id: stands on line 1 already"),
    ('[2]', "#: must be an object"),
    ('{"id":2,"pattern":{"a":[1]}', "the text ends too early at column 28"),
    ('{"id":2,"pattern":{"a":[1]}} {}', "nothing may follow the document at column 30"),
    ('{"id":2,"pattern":{"a":[1],"a":[2]}}', "twice"),
    ('{"id":2,"pattern":{"a":["\udc80"]}}', "UTF-8"),
    ('{"id":"' + "x" * 200000 + '","pattern":{"a":[1]}}', "the line is longer than"),
], ids=lambda text: text[:40])
def test_a_wrong_pattern_is_told_with_line_and_place(tmp_path, line, place):
    path = tmp_path / "p.ndjson"
    path.write_bytes(b'{"id":1,"pattern":{"a":[1]}}\n\n' + line.encode(errors="surrogateescape"))
    result = match(path, "-", stdin='{"a":1}')
    assert result.returncode == 65 and result.stdout == ""
    assert f"eventflow match: {path}: line 3: " in result.stderr and place in result.stderr


def test_ids_are_the_same_only_when_they_mean_the_same(tmp_path):
    text = "".join(f'{{"id":{i},"pattern":{{"a":[1]}}}}\n' for i in ('"\\u0061"', '1', '"1"'))
    assert match("-", write(tmp_path / "e", ["{}"]), stdin=text).returncode == 0
    result = match("-", tmp_path / "e", stdin=text + '{"id":"a","pattern":{"a":[1]}}')
    assert result.returncode == 65 and "line 4: #/id: stands on line 1 already" in result.stderr


def test_all_wrong_patterns_are_told_but_not_without_end(tmp_path):
    path = write(tmp_path / "p.ndjson", ['{"id":1}'] * 1000)
    result = match(path, "-", stdin="{}")
    told = result.stderr.splitlines()
    assert result.returncode == 65 and len(told) == 21 and "1000 lines with problems" in told[-1]
    assert [line.split("line ")[1].split(":")[0] for line in told[:-1]] == \
        [str(i) for i in range(1, 21)]


@pytest.mark.parametrize("before", [0, 1, 3000])  # in the sample and behind it
@pytest.mark.parametrize("line, why", [
    ("[1]", "an event is an object, not an array"), ("5", "not a number"), ('"x"', "not a string"),
    ("null", "not null"), ("{broken", "at column 2"), ('{"x":1}{"x":1}', "behind the event"),
    ('{"x":"\udc80"}', "UTF-8"), ('{"x":01}', "at column"),
    ('{"x":' + "[" * 64 + "]" * 64 + "}", "deep"),
    ('{"x":"' + "y" * 1100 + '"}', "longer than 1024 bytes (--line-max)"),
], ids=lambda text: text[:20])
def test_a_wrong_event_is_told_after_the_answers_before_it(some, tmp_path, before, line, why):
    path = tmp_path / "e.ndjson"
    path.write_bytes(b'{"x":1}\n' * before + b"\n" + line.encode(errors="surrogateescape") +
                     b'\n{"x":1}\n')
    result = match(some, path, "--stats", "--line-max=1KiB")
    assert result.returncode == 65
    assert result.stdout == '["one"]\n' * before
    assert f"eventflow match: {path}: line {before + 2}: " in result.stderr and why in result.stderr
    assert f"events={before} " in result.stderr


def test_the_longest_line_and_one_byte_more(some, tmp_path):
    for size, code in ((1024 * 1024, 0), (1024 * 1024 + 1, 65)):
        path = write(tmp_path / "e.ndjson", ['{"x":1,"y":"' + "y" * (size - 14) + '"}', '{"x":1}'])
        assert len(path.read_text().splitlines()[0]) == size
        result = match(some, path)
        assert result.returncode == code
        assert result.stdout == ('["one","any"]\n["one"]\n' if code == 0 else "")
    assert match(some, path, "--line-max=2MiB").returncode == 0


# ---- streams -------------------------------------------------------------------------------------

def start(patterns, *flags, **options):
    return subprocess.Popen([BINARY, "match", "--patterns", str(patterns), "--events", "-", *flags],
                            stdin=subprocess.PIPE, **options)


def peak_kib(patterns, megabytes):
    """The most memory that was resident at once while so much went through standard input."""
    lines = b"".join(json.dumps({"x": i % 7, "y": ["text"] * 20, "z": {"a": "b" * 2000}}).encode()
                     + b"\n" for i in range(500))
    process = start(patterns, stdout=subprocess.DEVNULL)
    sent = 0
    while sent < megabytes << 20:
        process.stdin.write(lines)
        sent += len(lines)
    process.stdin.flush()
    status = open(f"/proc/{process.pid}/status").read()
    process.stdin.close()
    assert process.wait(120) == 0
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1))


def test_memory_does_not_grow_with_the_events(some):
    few, many = peak_kib(some, 4), peak_kib(some, 200)
    assert many - few < 8 * 1024, f"{few} KiB with 4 MiB, {many} KiB with 200 MiB"


def test_every_line_of_a_large_file_is_answered(tmp_path):
    path = patterns_of(tmp_path / "p.ndjson", {str(i): {"x": [i]} for i in range(50)})
    numbers = [random.Random(5).randrange(60) for _ in range(100000)]
    events = write(tmp_path / "e.ndjson",
                   [json.dumps({"x": n, "fill": "f" * (i % 900)}) for i, n in enumerate(numbers)])
    expected = "".join(f"[{n if n < 50 else ''}]\n" for n in numbers)
    assert match(path, events).stdout == expected
    assert match(path, "-", stdin=events.read_text()).stdout == expected


def test_an_event_is_answered_before_the_next_one_comes(some):
    """A program may send an event, read the answer, and send the next."""
    process = start(some, stdout=subprocess.PIPE)
    for x, answer in ((1, b'["one"]\n'), (2, b'["not"]\n'), (1, b'["one"]\n')):
        process.stdin.write(b'{"x":%d}\n' % x)
        process.stdin.flush()
        assert select.select([process.stdout], [], [], 60)[0], "no answer"
        assert process.stdout.readline() == answer
    process.stdin.close()
    assert process.stdout.read() == b"" and process.wait(60) == 0


def test_answers_are_written_in_large_pieces(some, tmp_path):
    path = tmp_path / "out"
    with open(path, "wb") as out:
        process = start(some, stdout=out)
    process.stdin.write(b'{"x":1}\n' * 100000)
    process.stdin.flush()
    wait_until(lambda: path.stat().st_size == 800000, "all answers")
    io = open(f"/proc/{process.pid}/io").read()
    process.stdin.close()
    assert process.wait(60) == 0
    assert int(re.search(r"syscw: (\d+)", io).group(1)) < 1000


@pytest.mark.parametrize("is_ignored", [False, True])
def test_a_reader_that_leaves_ends_the_work(some, is_ignored):
    """With the signal of a broken pipe ignored, as under nohup, the exit code says so."""
    source = subprocess.Popen(["yes", '{"x":1}'], stdout=subprocess.PIPE)
    how = signal.SIG_IGN if is_ignored else signal.SIG_DFL
    process = subprocess.Popen(
        [BINARY, "match", "--patterns", some, "--events", "-"], stdin=source.stdout,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, restore_signals=False,
        preexec_fn=lambda: signal.signal(signal.SIGPIPE, how))
    try:
        assert process.stdout.readline() == b'["one"]\n'
        process.stdout.close()
        assert process.wait(60) == (74 if is_ignored else -signal.SIGPIPE)
        if is_ignored:
            assert b"cannot write standard output: Broken pipe" in process.stderr.read()
    finally:
        process.stderr.close()
        source.stdout.close()
        source.kill()
        source.wait(60)


def test_a_full_disk_ends_with_74(some, tmp_path):
    for count in (1, 100000):
        events = write(tmp_path / "e.ndjson", ['{"x":1}'] * count)
        with open("/dev/full", "w") as full:
            result = subprocess.run([BINARY, "match", "--patterns", some, "--events", events],
                                    stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
        assert result.returncode == 74 and "No space left" in result.stderr


def on_terminal(command, **options):
    """What a terminal gets of the command's standard error."""
    terminal, tty = os.openpty()
    process = subprocess.Popen(command, stderr=tty, **{k: tty if v == "tty" else v
                                                       for k, v in options.items()})
    os.close(tty)
    shown = b""
    try:
        while part := os.read(terminal, 65536):
            shown += part
    except OSError:
        pass  # the other side was closed
    os.close(terminal)
    assert process.wait(120) == 0
    return shown


def test_progress_is_drawn_on_a_terminal_only(tmp_path):
    """Explaining a hundred patterns for each event takes long enough to be seen."""
    path = patterns_of(tmp_path / "p.ndjson",
                       {str(i): {"x": [f"text {i}", {"wildcard": "a*b*c"}]} for i in range(100)})
    events = write(tmp_path / "e.ndjson", ['{"x":"abab"}'] * 500)
    command = [BINARY, "match", "--patterns", path, "--events", events, "--explain", "--stats"]
    shown = on_terminal(command, stdout=subprocess.DEVNULL)
    assert re.search(rb"\r\x1b\[K\[#*\.*\] +\d+ %  \d+ events, \d+/s", shown)
    assert STATS.fullmatch(shown.split(b"\x1b[K")[-1].replace(b"\r", b"").decode())
    assert STATS.fullmatch(match(path, events, "--explain", "--stats").stderr)
    write(events, ['{"x":"abab"}'] * 100)
    assert b"\x1b" not in on_terminal(command, stdout="tty")


# ---- cases ---------------------------------------------------------------------------------------

def names_repeat(text):
    """Whether a name stands twice in an object: the peer takes that, we do not."""
    found = []

    def look(pairs):
        found.append(len(pairs) != len(dict(pairs)))
        return dict(pairs)
    json.loads(text, object_pairs_hook=look)
    return any(found)


def load_cases(path):
    """(pattern, event, matches) of the valid cases, each text on one line."""
    cases = [json.loads(line) for line in path.read_text().splitlines() if line]
    return [(c["pattern"].replace("\n", " ").replace("\r", " "),
             c["event"].replace("\n", " ").replace("\r", " "), c["match"]) for c in cases
            if c["valid"] and "match" in c and not names_repeat(c["pattern"])
            and isinstance(json.loads(c["event"]), dict)]


@pytest.mark.parametrize("path", [ROOT / "tests/conformance/pattern_cases.ndjson", PEER_CASES],
                         ids=["ours", "peer"])
def test_cases_answer_the_same_in_one_set_as_alone(path, tmp_path):
    if not path.exists():
        pytest.skip(f"{path} is not there")
    cases = load_cases(path)
    assert len(cases) > 200
    events = write(tmp_path / "e.ndjson", [e for _, e, _ in cases])
    together = answers(match(patterns_of(tmp_path / "p.ndjson", {str(i): p for i, (p, _, _) in
                                                                 enumerate(cases)}), events))
    wrong = [c for i, c in enumerate(cases) if (i in together[i]) != c[2]]
    assert wrong == []
    for i in random.Random(7).sample(range(len(cases)), 20):
        alone = answers(match(patterns_of(tmp_path / "one.ndjson", {str(i): cases[i][0]}), events))
        assert alone == [[i] if i in found else [] for found in together], cases[i]
    order = random.Random(9).sample(range(len(cases)), len(cases))
    mixed = answers(match(patterns_of(tmp_path / "p.ndjson", {str(i): cases[i][0] for i in order}),
                          events))
    assert [sorted(found) for found in mixed] == together
