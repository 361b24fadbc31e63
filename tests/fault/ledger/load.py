"""Load: starts, watches and ends the process that sends (client.py), and keeps the campaigns."""
import json
import subprocess
import sys
import time
from pathlib import Path

from .campaigns import Campaigns
from .record import Counters, next_run

START_WITHIN = 30  # seconds
STOP_WITHIN = 60


class Load:
    """Seeded load on url, written down in folder. The sending process is its own and is never
    killed; it outlives every restart of the server and ends with stop(), or with this process.

    duplicates, conflicts, invalid: shares of all events. batches: share of the requests that carry
    2 to 41 events. rate: events a second at most. max_ops: so many events, then it ends by itself.
    sync_url: nothing is sent before GET of it was answered 200.
    """

    def __init__(self, url, folder_for_ledger, seed=1, connections=8, duplicates=0.05,
                 conflicts=0.01, invalid=0.01, batches=0.2, rate=None, max_ops=None, sync_url=None):
        self.folder = Path(folder_for_ledger)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.options = {"url": url, "seed": seed, "connections": connections,
                        "duplicates": duplicates, "conflicts": conflicts, "invalid": invalid,
                        "batches": batches, "rate": rate, "max_ops": max_ops,
                        "sync_url": sync_url, "parent": True}
        self.campaigns = Campaigns(self.folder, seed)
        self.process, self.counters = None, None

    def start(self):
        run = next_run(self.folder)
        (self.folder / f"run-{run}.options").write_text(json.dumps(self.options))
        self.counters = Counters(self.folder / f"run-{run}.counters", create=True)
        command = [sys.executable, "-c",
                   "import sys, json; from ledger.client import main;"
                   "main(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]))",
                   str(self.folder), str(run), json.dumps(self.options)]
        self.process = subprocess.Popen(command, cwd=Path(__file__).resolve().parent.parent,
                                        start_new_session=True, stdin=subprocess.DEVNULL)
        if not self.options["sync_url"]:
            self.wait(lambda: self.counters.get("ready"), START_WITHIN, "the load to start")
        return self

    def wait(self, condition, seconds, what):
        end = time.monotonic() + seconds
        while not condition():
            code = self.process.poll()
            if code is not None and not condition():
                raise AssertionError(f"the load ended with {code} before: {what}")
            if time.monotonic() > end:
                raise AssertionError(f"waited {seconds} s for: {what}; {self.counts()}")
            time.sleep(0.005)

    def wait_for(self, name, more, seconds=30):
        """Waits until a counter has grown by so much; returns the counts."""
        goal = self.counters.get(name) + more
        self.wait(lambda: self.counters.get(name) >= goal, seconds, f"{more} more {name}")
        return self.counts()

    def counts(self):
        """Live: sent, acked, rejected, unknown; new, duplicate, conflict, invalid; requests,
        reconnects, unavailable (answers 5xx), valid_rejected, invalid_accepted."""
        return self.counters.all()

    def join(self, seconds=STOP_WITHIN):
        """Waits for the end that max_ops gives; returns the counts."""
        if self.process.wait(seconds) != 0:
            raise AssertionError(f"the load ended with {self.process.returncode}")
        return self.counts()

    def stop(self):
        """Ends it after what is on its way; returns the counts."""
        self.counters.add("stop")
        return self.join()

    def install_campaigns(self, server_url):
        """The seeded campaigns; call it before start."""
        self.campaigns.install(server_url)

    def change_campaign(self, server_url=None):
        """Makes a new version of one of them, also while the load runs. Returns its id."""
        return self.campaigns.change(server_url or self.options["url"])

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()
