"""The clock of the machine one hour back and one day forward while it runs (libfaketime): no
negative durations, no duplicate ids, time filters go by event time, retries and rates live on."""
import datetime
import email.utils
import re
import time

import pytest

from hostile import preloads
from server import event, wait_until

HOUR, DAY = 3600, 86400
FAKETIME = preloads("libfaketimeMT.so.1")
pytestmark = pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed")


class Clock:
    """What the server believes the time to be, as an offset to ours in seconds."""

    def __init__(self, folder):
        self.path, self.offset = folder / "clock", 0
        self.set(0)
        self.env = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(self.path),
                    "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1"}

    def set(self, seconds):
        new = self.path.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self.path)
        self.offset = seconds

    def now(self):
        return time.time() + self.offset


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path)


def header_offset(server):
    """How far the server's Date header is from our clock. Units: seconds."""
    date = server.get("/health/live").headers["Date"]
    return email.utils.parsedate_to_datetime(date).timestamp() - time.time()


def jump(server, clock, seconds):
    """The header shows the whole second and may be a second old."""
    clock.set(seconds)
    wait_until(lambda: abs(header_offset(server) - seconds) < 3,
               f"the Date header at {seconds:+d} s", 5)


def send(server, prefix, count=50):
    server.send(*[event(f"{prefix}-{n}", payload={"n": n}) for n in range(count)])


def numbers(value):
    """Every number in a JSON document."""
    if isinstance(value, dict):
        return [n for member in value.values() for n in numbers(member)]
    return [value] if isinstance(value, (int, float)) else []


def check_nothing_is_negative(server):
    assert min(numbers(server.summary())) >= 0, server.summary()
    assert server.get("/health").json["uptime_seconds"] >= 0
    text = server.get("/metrics").body.decode()
    negative = [line for line in text.splitlines() if re.search(r" -[0-9]", line)
                and not line.startswith("#")]
    assert not negative, negative
    assert server.sql("SELECT event_id, processing_ms FROM processed_events "
                      "WHERE processing_ms < 0") == []


def test_no_duration_is_negative_and_no_id_stands_twice(make_server, clock):
    server = make_server(env=clock.env)
    for number, offset in enumerate([0, -HOUR, DAY, 0, -HOUR, 0]):
        send(server, f"before-{number}")
        jump(server, clock, offset)
        send(server, f"after-{number}")
        send(server, "same")
        server.send(event("same-0", payload={"conflict": number}))
        check_nothing_is_negative(server)
    summary = server.wait_idle()
    check_nothing_is_negative(server)
    assert (summary["processed"], summary["duplicate"], summary["failed"]) == (650, 250, 6)
    # Nobody sent a correlation id: they were made, one for each event.
    twice = "SELECT correlation_id FROM raw_events GROUP BY 1 HAVING count(DISTINCT event_id) > 1"
    assert server.sql(twice, file="queue.db") == []
    failures = [row[0] for row in server.sql("SELECT id FROM failed_events ORDER BY seq")]
    assert failures == sorted(set(failures)) and len(failures) == 6
    assert server.sql("SELECT event_id FROM processed_events GROUP BY 1 HAVING count(*) > 1") == []
    seqs = server.sql("SELECT seq FROM raw_events ORDER BY seq", file="queue.db")
    assert seqs == [(seq,) for seq in range(1, 907)]


def test_events_that_wait_while_the_clock_jumps_have_no_negative_age(make_server, clock):
    """A slow worker: the jump is between arrival and processing."""
    env = {**clock.env, "EVENTFLOW_TEST_FAULT": "worker.match~slow=wait:300@1+"}
    server = make_server(env=env)
    for number, offset in enumerate([-HOUR, 0, DAY, 0]):
        server.send(event(f"s-{number}", "slow"), event(f"t-{number}", "slow"))
        clock.set(offset)
        check_nothing_is_negative(server)
        server.wait_idle()
        check_nothing_is_negative(server)
    early = server.sql("SELECT event_id, received_at, processed_at FROM processed_events "
                       "WHERE processed_at < received_at")
    assert early == [], "processed before it was received"


@pytest.mark.parametrize("offset", [-HOUR, DAY])
def test_a_retry_keeps_its_time_whatever_the_clock_says(make_server, clock, offset):
    env = {**clock.env, "EVENTFLOW_TEST_FAULT": "worker.match~flaky=fail"}
    server = make_server("--retry-backoff", "500ms", env=env)
    server.send(event("a", "flaky"))
    wait_until(lambda: server.summary()["pending_messages"] == 1, "the first attempt to fail")
    clock.set(offset)
    wait_until(lambda: server.summary()["processed"] == 1, "the second attempt", 10)
    check_nothing_is_negative(server)


def test_rates_go_on_counting(make_server, clock):
    """Over less than a minute the rate is what came, by the time it took: of our clock."""
    server = make_server(env=clock.env)
    received = 0
    for offset, count in ((0, 30), (-HOUR, 300), (DAY, 3000)):
        clock.set(offset)
        for start in range(0, count, 300):
            send(server, f"rate{offset}-{start}", min(count, 300))
        received += count
        wait_until(lambda: 0.4 < rate_by_uptime(server) / received < 2.5,
                   f"a rate at {offset:+d} s", 10)


def rate_by_uptime(server):
    rate = server.summary()["rates_per_second"]["received"]["1m"]
    return rate * server.get("/health").json["uptime_seconds"]


def stamp(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%S.%fZ")


def listed(server, **query):
    """Ids of the events between from and until, all pages."""
    parts = "&".join(f"{name.rstrip('_')}={value}" for name, value in query.items())
    return {e["event_id"] for e in server.get(f"/events?limit=500&{parts}").json["events"]}


def test_time_filters_go_by_the_time_of_the_event(make_server, clock):
    """Whatever the server's clock said when it arrived."""
    server = make_server(env=clock.env)
    base = time.time() - 10 * DAY
    for offset in (0, -HOUR, DAY):
        clock.set(offset)
        server.send(*[event(f"at{n}-{offset}", timestamp=stamp(base + n * 60)) for n in range(10)])
        server.wait_idle()
    found = listed(server, from_=stamp(base + 180), until=stamp(base + 360))
    assert found == {f"at{n}-{offset}" for n in (3, 4, 5) for offset in (0, -HOUR, DAY)}


def test_an_event_without_a_time_has_that_of_the_servers_clock(make_server, clock):
    server = make_server(env=clock.env)
    for offset in (-HOUR, DAY):
        clock.set(offset)
        server.send(event(f"now{offset}"))
        server.wait_idle()
        now = clock.now()
        assert listed(server, from_=stamp(now - 60), until=stamp(now + 60)) == {f"now{offset}"}


def test_a_restart_with_another_clock_keeps_everything(make_server, clock):
    server = make_server(env=clock.env)
    clock.set(DAY)
    send(server, "a")
    server.kill()
    clock.set(-HOUR)
    server.start()
    send(server, "a")
    send(server, "b")
    summary = server.wait_idle()
    assert (summary["processed"], summary["duplicate"], summary["failed"]) == (100, 50, 0)
    check_nothing_is_negative(server)
