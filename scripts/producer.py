#!/usr/bin/python3
"""Writes shop events as NDJSON: generated ones (seeded, so the same every time), or a purchase
history from a file with lines of: customer id, date (yyyymmdd), number of CDs, dollars.

    scripts/producer.py --count 5000 | build/release/eventflow send -
    scripts/producer.py --from history.txt | build/release/eventflow send -
"""
import argparse
import datetime
import json
import random
import sys

TYPES = ["purchase"] * 5 + ["cart_updated"] * 3 + ["product_viewed"] * 6 + ["signup"]


def payload_for(kind, chance, number):
    if kind == "purchase":
        return {"amount": round(chance.lognormvariate(3.4, 0.9), 2),
                "currency": chance.choice(["USD", "USD", "EUR"]), "order_id": f"o-{number}"}
    if kind == "cart_updated":
        return {"cart_id": f"k-{chance.randrange(2000)}", "items": chance.randrange(0, 9)}
    if kind == "product_viewed":
        return {"product_id": f"p-{chance.randrange(300)}"}
    return {"plan": chance.choice(["free", "pro"])}


def generated(count, seed):
    chance = random.Random(seed)
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    for number in range(count):
        kind = chance.choice(TYPES)
        at = start + datetime.timedelta(seconds=number * 7)
        yield {"event_id": f"demo-{seed}-{number}", "event_type": kind,
               "customer_id": f"c{int(chance.paretovariate(0.7)) % 900}",
               "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "source": "demo-shop",
               "payload": payload_for(kind, chance, number)}


def purchases(path):
    """One event a line; the line's number makes its id, so sending twice changes nothing."""
    with open(path) as lines:
        for number, line in enumerate(lines, 1):
            fields = line.split()
            if len(fields) != 4:
                sys.exit(f"{path}:{number}: expected customer, date, CDs and dollars")
            customer, date, cds, dollars = fields
            # Written by hand so that the amount keeps its digits exactly.
            yield (f'{{"event_id":"purchase-{number}","event_type":"purchase",'
                   f'"customer_id":"{customer}","source":"history",'
                   f'"timestamp":"{date[:4]}-{date[4:6]}-{date[6:]}T12:00:00Z",'
                   f'"payload":{{"cds":{int(cds)},"dollars":{dollars}}}}}')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--count", type=int, default=5000, help="events to generate (5000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", dest="file", help="a purchase history instead")
    options = parser.parse_args()
    if options.file:
        for line in purchases(options.file):
            print(line)
    else:
        for event in generated(options.count, options.seed):
            print(json.dumps(event, separators=(",", ":")))


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        sys.exit(1)
