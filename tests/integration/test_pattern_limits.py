"""The limits of patterns are settings: where they hold, their edges, and what they leave alone."""
import json

import pytest
from conftest import event, run, wait_until

# Below "payload", so that they are rules of campaigns as well.

def with_values(n):
    return {"payload": list(range(n))}


def with_depth(n):
    pattern = [1]
    for _ in range(n):
        pattern = {"payload": pattern}
    return pattern


def with_text(n):
    return {"payload": ["x" * (n - len('{"payload":[""]}'))]}


def with_stars(n):
    return {"payload": [{"wildcard": "*a" * n}]}


def with_conjunctions(n):
    """An $or for each prime factor: their numbers of branches multiply."""
    pattern, factor = {}, 2
    while n > 1:
        if n % factor == 0:
            pattern[f"payload.o{len(pattern)}"] = {"$or": [{f"b{i}": [1]} for i in range(factor)]}
            n //= factor
        else:
            factor += 1
    return pattern


LIMITS = {  # flag: (how to make one, default, a lower one, the highest, what the answer says)
    "pattern-text-max": (with_text, 65536, 1024, 262144, "may have at most"),
    "pattern-values-max": (with_values, 500, 6, 2000, "the limit is"),
    "pattern-depth-max": (with_depth, 32, 3, 60, "is nested deeper than"),
    "pattern-conjunctions-max": (with_conjunctions, 1000, 4, 2000, "more than"),
    "pattern-stars-max": (with_stars, 16, 2, 64, "may have at most"),
}
LOWEST = [f"--{flag}={low}" for flag, (_, _, low, _, _) in LIMITS.items()]


def pattern_file(folder, pattern):
    """The pattern's text without white space: that is what counts."""
    path = folder / "p.ndjson"
    path.write_text(f'{{"id":1,"pattern":{json.dumps(pattern, separators=(",", ":"))}}}\n')
    return path


def match(patterns, *flags):
    return run("match", "--patterns", patterns, "--events", "-", *flags, stdin="{}")


@pytest.mark.parametrize("flag", LIMITS)
def test_match_holds_a_limit_to_its_edge(flag, tmp_path):
    make, default, low, most, words = LIMITS[flag]
    for limit, flags in ((default, []), (low, [f"--{flag}={low}"])):
        path = pattern_file(tmp_path, make(limit))
        assert match(path, *flags).returncode == 0, limit
        path = pattern_file(tmp_path, make(limit + 1))
        result = match(path, *flags)
        assert result.returncode == 65 and words in result.stderr and str(limit) in result.stderr
        assert f"{path}: line 1: #/pattern" in result.stderr
    path = pattern_file(tmp_path, make(default + 1))
    raised = [f"--{flag}={most}", "--pattern-values-max=2000"]
    assert match(path, *raised).returncode == 0
    assert match(path, f"--{flag}={most + 1}").returncode == 64
    assert match(path, f"--{flag}=0").returncode == 64


def campaign(name, rules):
    return {"id": name, "name": name, "rules": rules}


def refused(answer, words):
    assert answer.status == 422 and len(answer.json["errors"]) == 1, answer
    error = answer.json["errors"][0]
    return error["pointer"].startswith("#/rules") and words in error["detail"]


def test_the_settings_defaults_are_the_documented_limits():
    settings = json.loads(run("config", "--json").stdout)
    assert {f: settings[f] for f in LIMITS} == {
        f: "64KiB" if f == "pattern-text-max" else str(LIMITS[f][1]) for f in LIMITS}
    for flag, (_, _, _, most, _) in LIMITS.items():
        assert run("config", f"--{flag}={most}").returncode == 0
        assert run("config", f"--{flag}={most + 1}").returncode == 78
        assert run("config", f"--{flag}=0").returncode == 78


def test_a_server_holds_the_limits_to_their_edges_when_it_saves(make_server):
    default, lowered = make_server(folder="default"), make_server(*LOWEST, folder="lowered")
    for flag, (make, normal, low, _, words) in LIMITS.items():
        for server, limit in ((default, normal), (lowered, low)):
            assert server.post("/campaigns", campaign(flag, make(limit))).status == 201, flag
            over = make(limit + 1)
            assert refused(server.post("/campaigns", campaign("over", over)), words)
            assert refused(server.request("PUT", f"/campaigns/{flag}", campaign(flag, over)), words)
            patched = server.request("PATCH", f"/campaigns/{flag}", {"rules": over})
            assert patched.status == 422 and words in patched.body.decode()
            assert server.get(f"/campaigns/{flag}").json["version"] == 1
            assert server.get("/campaigns/over").status == 404


def test_limits_can_be_raised(make_server):
    server = make_server(*[f"--{flag}={most}" for flag, (_, _, _, most, _) in LIMITS.items()])
    for flag, (make, normal, _, _, _) in LIMITS.items():
        assert server.post("/campaigns", campaign(flag, make(normal + 1))).status == 201, flag


def test_campaigns_stay_alive_after_a_limit_was_lowered(make_server):
    """Saved under high limits, matched under low ones; all but their rules can be changed."""
    rules = {"event_type": ["big"], "payload": {"n": list(range(1, 2000))}}
    server = make_server("--pattern-values-max=2000")
    assert server.post("/campaigns", campaign("big", rules)).status == 201
    assert server.stop() == 0
    server = make_server(*LOWEST)
    server.send(event("e-1", "big", payload={"n": 1999}))
    wait_until(lambda: server.get("/events/e-1").json.get("matches"), "the match of a big campaign")
    assert refused(server.request("PUT", "/campaigns/big", campaign("big", rules)), "at most 1024")
    renamed = server.request("PATCH", "/campaigns/big", {"name": "new", "status": "paused"})
    assert renamed.status == 200 and renamed.json["rules"] == rules
    assert "cannot be read" not in server.log()
