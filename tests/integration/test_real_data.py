"""69,659 real purchases, when the data file stands beside the project; awk counts the truth.

The file has CRLF line ends: "+ 0" keeps awk from comparing its last column as text.
"""
import subprocess

import pytest
from conftest import ROOT, run, wait_until

DATA = ROOT.parent / "shared/data/cdnow.txt"
CAMPAIGNS = [
    {"id": "over-50", "name": "n", "rules": {"payload": {"dollars": [{"numeric": [">", 50]}]}}},
    {"id": "five-cds", "name": "n", "rules": {"payload": {"cds": [{"numeric": [">=", 5]}]}}},
    {"id": "one-customer", "name": "n", "rules": {"customer_id": ["14048"]}},
]


def awk(condition):
    result = subprocess.run(["awk", condition + " {n++} END {print n+0}", DATA], text=True,
                            stdout=subprocess.PIPE, check=True)
    return int(result.stdout)


@pytest.mark.skipif(not DATA.exists(), reason="cdnow.txt is not beside the project")
def test_matches_equal_what_awk_counts_also_after_kill_and_resend(make_server, tmp_path):
    events = tmp_path / "cdnow.ndjson"
    with open(events, "w") as out:
        subprocess.run(["/usr/bin/python3", ROOT / "scripts/producer.py", "--from", DATA],
                       stdout=out, check=True)
    server = make_server()
    for campaign in CAMPAIGNS:
        assert server.post("/campaigns", campaign).status == 201
    wanted = {"over-50": awk("$4 + 0 > 50"), "five-cds": awk("$3 + 0 >= 5"),
              "one-customer": awk('$1 == "14048"')}
    sender = subprocess.Popen([server_binary(), "send", events, "--url", server.url, "--quiet"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: server.summary()["received"] > 20000, "a part of the purchases")
    server.kill()
    server.start()
    sender.wait(300)
    assert run("send", events, "--url", server.url, timeout=300).returncode == 0

    def counts():
        return dict(server.sql("SELECT campaign_id, count(*) FROM campaign_matches GROUP BY 1"))

    summary = wait_until(lambda: (s := server.summary())["waiting"] == 0 and s, "all to be done", 300)
    assert summary["processed"] == 69659 and summary["failed"] == 0
    assert counts() == wanted
    before = summary["duplicate"]
    assert run("send", events, "--url", server.url, timeout=300).returncode == 0
    summary = wait_until(lambda: (s := server.summary())["waiting"] == 0 and s, "all to be done", 300)
    assert summary["processed"] == 69659 and summary["duplicate"] == before + 69659
    assert counts() == wanted


def server_binary():
    from conftest import BINARY
    return BINARY
