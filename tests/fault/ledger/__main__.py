"""The command line: python3 -m ledger load|verify (run it in tests/fault)."""
import argparse
import json
import sys
import time

from . import Load, verify


def parse():
    parser = argparse.ArgumentParser(prog="python3 -m ledger", description="Drives seeded load and "
                                     "judges the program's data by what it answered.")
    commands = parser.add_subparsers(dest="command", required=True)
    load = commands.add_parser("load", help="send events, write down what was answered")
    load.add_argument("url", help="e.g. http://127.0.0.1:8080")
    load.add_argument("ledger", help="folder for the records, outside the faulty disk")
    load.add_argument("--seed", type=int, default=1)
    load.add_argument("--connections", type=int, default=8)
    for name, share in (("duplicates", 0.05), ("conflicts", 0.01), ("invalid", 0.01)):
        load.add_argument(f"--{name}", type=float, default=share, help="share of all events "
                          f"(default {share})")
    load.add_argument("--batches", type=float, default=0.2, help="share of the requests that carry "
                      "2 to 41 events (default 0.2)")
    load.add_argument("--rate", type=float, help="events a second at most")
    load.add_argument("--max-ops", type=int, help="end after so many events")
    load.add_argument("--seconds", type=float, help="end after so long (default: Ctrl-C)")
    load.add_argument("--no-campaigns", action="store_true", help="do not install campaigns first")
    check = commands.add_parser("verify", help="compare ledger and data")
    check.add_argument("ledger")
    check.add_argument("data", help="the program's data folder")
    check.add_argument("--url", help="of the running server: asks it for its summary and a sample")
    check.add_argument("--fault-log", help="JSON lines with from_ns, until_ns, what")
    check.add_argument("--artifacts", help="copy everything there when something fails")
    return parser.parse_args()


def run_load(args):
    load = Load(args.url, args.ledger, args.seed, args.connections, args.duplicates,
                args.conflicts, args.invalid, args.batches, args.rate, args.max_ops)
    if not args.no_campaigns:
        load.install_campaigns(args.url)
    load.start()
    end = time.monotonic() + (args.seconds or 1e9)
    try:
        while load.process.poll() is None and time.monotonic() < end:
            time.sleep(0.2)
    except KeyboardInterrupt:
        pass
    print(json.dumps(load.stop()))
    return 0


def run_verify(args):
    verdict = verify(args.ledger, args.data, args.url, args.fault_log, args.artifacts)
    print(verdict)
    return 0 if verdict.ok else 1


if __name__ == "__main__":
    ARGS = parse()
    sys.exit(run_load(ARGS) if ARGS.command == "load" else run_verify(ARGS))
