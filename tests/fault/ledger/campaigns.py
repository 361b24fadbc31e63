"""Campaigns made from a seed, installed and changed over the API, with every version written down.

Each line of campaigns.jsonl is {"change": n, "id", "document"} before a request, or {"change": n,
"status", "version", "at_ns"} at its answer; without the second one it is unknown whether the
version exists.
"""
import http.client
import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from random import Random

REWARD = [{"type": "credit", "amount": 10, "unit": "USD"}]


def number(text):
    """A number whose spelling the document keeps."""
    return json.loads(text)


def rules_over(random):
    """The rules of every campaign, with thresholds drawn from random: one way to write each kind of
    condition that the model knows."""
    cents = random.randrange(1000, 19000)
    amount = number(f"{cents // 100}.{cents % 100:02d}")
    low = random.randrange(10, 90)
    countries = random.sample(["DE", "AT", "CH", "US", "FR"], 2)
    return {
        "over": {"event_type": ["purchase"], "payload": {"amount": [{"numeric": [">", amount]}]}},
        "between": {"event_type": ["purchase", "refund"],
                    "payload": {"amount": [{"numeric": [">=", low, "<", low + 60]}],
                                "country": countries}},
        "exactly-35": {"payload": {"amount": [35, number("0.01"), 0]}},
        "not-test": {"event_type": ["signup"],
                     "payload": {"country": [{"anything-but": ["test", countries[0]]}]}},
        "business": {"customer_id": [{"prefix": "b2b-"}], "event_type": [{"prefix": "p"}],
                     "payload": {"country": [{"anything-but": {"prefix": countries[1][0]}}]}},
        "tagged": {"payload": {"tags": ["vip", None], "amount": [{"exists": True}]}},
        "either": {"event_type": ["page_view"], "$or": [
            {"payload": {"vip": [True]}}, {"source": ["pos", "app"], "payload": {"amount": [
                {"numeric": ["<", low]}]}}]},
        "nobody": {"customer_id": [{"exists": False}], "event_type": ["login", "purchase"]},
        "two-shoes": {"payload": {"items": {"sku": [{"prefix": "shoe-"}], "count": [2, 3]}}},
    }


class Campaigns:
    """The campaigns of one ledger."""

    def __init__(self, folder, seed):
        self.path = Path(folder) / "campaigns.jsonl"
        self.random = Random(f"campaigns {seed}")
        self.documents = {}
        self.changes = len(read_lines(self.path)) * 2  # never used twice, also in a later run

    def install(self, url):
        for campaign_id, rules in rules_over(self.random).items():
            document = {"id": campaign_id, "name": campaign_id, "rules": rules, "then": []}
            if campaign_id in ("over", "either"):
                document["then"] = REWARD
            self.write(url, campaign_id, {k: v for k, v in document.items() if v != []})

    def change(self, url):
        """New thresholds, or another status, for one of them."""
        campaign_id = self.random.choice(sorted(self.documents))
        document = dict(self.documents[campaign_id])
        if self.random.random() < 0.3:
            is_active = document.get("status", "active") == "active"
            document["status"] = "paused" if is_active else "active"
        else:
            document["rules"] = rules_over(self.random)[campaign_id]
        self.write(url, campaign_id, document)
        return campaign_id

    def write(self, url, campaign_id, document):
        """PUT makes it or changes it, and does no harm when it is repeated."""
        self.changes += 1
        self.append({"change": self.changes, "id": campaign_id, "document": document})
        body = {k: v for k, v in document.items() if k != "id"}
        request = urllib.request.Request(f"{url}/campaigns/{campaign_id}", method="PUT",
                                         data=json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        except (OSError, http.client.HTTPException):
            return  # unknown: no second line
        line = {"change": self.changes, "status": status, "at_ns": time.time_ns()}
        if status in (200, 201):
            self.documents[campaign_id] = document
            line["version"] = json.loads(text)["version"]
        elif status < 500:
            raise AssertionError(f"campaign {campaign_id} was refused: {status} {text!r}")
        self.append(line)

    def append(self, line):
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def read_lines(path):
    if not Path(path).exists():
        return []
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def known_versions(folder):
    """({(id, version): (document, at_us)} of the acknowledged ones, [(id, document)] of the unknown
    ones). at_us: when the answer came, wall clock."""
    intents, known = {}, {}
    for line in read_lines(Path(folder) / "campaigns.jsonl"):
        if "id" in line:
            intents[line["change"]] = (line["id"], line["document"])
        elif line["status"] in (200, 201):
            campaign_id, document = intents.pop(line["change"])
            known[campaign_id, line["version"]] = (document, line["at_ns"] // 1000)
        elif line["status"] < 500:
            intents.pop(line["change"])
    return known, list(intents.values())
