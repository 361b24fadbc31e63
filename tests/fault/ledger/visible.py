"""Whether what was acknowledged can be looked up over the API."""
import http.client
import json
import time
from random import Random
from urllib.parse import quote, urlsplit

SAMPLE = 1000
SEEN_WITHIN = 30  # seconds, for the first one


def look_up(url, evidence):
    """Asks for a sample of the acknowledged events; any must be answered 200, with itself."""
    keys = evidence.query("""
        SELECT event_id, source FROM scratch.bodies WHERE acked > 0 AND kind <> 3""").fetchall()
    keys = Random(1).sample(keys, min(SAMPLE, len(keys)))
    where = urlsplit(url)
    end, missing = time.monotonic() + SEEN_WITHIN, []
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=SEEN_WITHIN)
    for event_id, source in keys:
        status, body = ask(connection, event_id, source)
        while status >= 500 and time.monotonic() < end:  # 503: too many look-ups wait
            time.sleep(0.05)
            status, body = ask(connection, event_id, source)
        if status != 200:
            missing.append(f"{event_id}: answered {status}")
        elif not is_about(body, event_id, source):
            missing.append(f"{event_id}: answered with another event, {body[:200]!r}")
    connection.close()
    return missing, f"{len(keys)} looked up"


def ask(connection, event_id, source):
    """Status and body of GET /events/{id}; 599 when there was no answer."""
    try:
        connection.request("GET", f"/events/{quote(event_id, safe='')}?source={quote(source)}")
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return 599, b""


def is_about(body, event_id, source):
    answer = json.loads(body)
    return (answer["event_id"], answer.get("source", "")) == (event_id, source) and \
        (answer["event"]["event_id"], answer["event"].get("source", "")) == (event_id, source)
