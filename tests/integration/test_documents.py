"""The examples of docs/api_endpoints.md and the README work as they stand."""
import re
import subprocess

from conftest import ROOT, wait_until


def curl_blocks(text):
    return re.findall(r"```sh\n# (\d+)\n(.*?)```", text, re.S)


def test_every_curl_example_answers_the_status_it_promises(server):
    blocks = curl_blocks((ROOT / "docs/api_endpoints.md").read_text())
    assert len(blocks) > 15
    for status, command in blocks:
        server.wait_idle()
        command = command.replace("http://127.0.0.1:8080", server.url)
        command = command.replace("curl ", "curl -s -o /dev/null -w '%{http_code}' ", 1)
        result = subprocess.run(["sh", "-c", command], text=True, capture_output=True, timeout=60)
        assert result.stdout == status, command + result.stdout + result.stderr


def test_the_readme_s_first_event_matches(make_server):
    server = make_server("--examples")
    text = (ROOT / "README.md").read_text()
    blocks = [b for b in re.findall(r"```sh\n(.*?)```", text, re.S) if "curl" in b]
    assert len(blocks) == 2
    for block in blocks:
        command = "set -e\n" + block.replace("http://127.0.0.1:8080", server.url)
        result = subprocess.run(["sh", "-c", command], text=True, capture_output=True, timeout=60)
        assert result.returncode == 0, result
    view = wait_until(lambda: (v := server.get("/events/order-1").json)["state"] == "processed" and v,
                      "the first event")
    assert [m["campaign_id"] for m in view["matches"]] == ["credit-over-50"]
    assert server.get("/campaigns/coupon-for-big-carts").status == 200


def test_the_library_s_documented_limits_are_those_of_the_code():
    """In the header, in the manual and in the matcher's own header."""
    def number(text):
        return int(text.replace(",", ""))

    code = {f"pattern_{name.lower()}_max": eval(value) for name, value in re.findall(
        r"#define PATTERN_(\w+)_MOST +([\d *()]+)\n", (ROOT / "src/core/pattern.h").read_text())}
    header = {name: number(most) for name, most in re.findall(
        r"size_t (pattern_\w+); +/\*.* at most ([\d,]+) \*/",
        (ROOT / "src/lib/eventflow-match.h").read_text())}
    manual = {name: number(most) for name, most in re.findall(
        r"\.It Va (pattern_\w+) Ta [\d,]+ Ta ([\d,]+) Ta",
        (ROOT / "docs/eventflow-match.3").read_text())}
    assert len(code) == 5 and header == code and manual == code


def test_every_documented_problem_type_and_metric_exists(server):
    text = (ROOT / "docs/operations.md").read_text()
    metrics = server.get("/metrics").body.decode()
    for name in re.findall(r"`([a-z_]+(?:_total|_seconds|_depth|_messages|_workers))[`{]", text):
        assert f"# TYPE {name} " in metrics, name
