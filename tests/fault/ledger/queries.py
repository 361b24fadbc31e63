"""The invariants as SQL over the scratch database (evidence.py says what is in it). Each gives one
text a finding, beginning with the event id."""

COUNT_STORED = "SELECT count(*) FROM stored"

PREPARE = """
    -- Messages whose bytes nobody sent.
    CREATE TEMP TABLE strange_bodies AS
    SELECT c.sha, c.event_id FROM scratch.copies AS c LEFT JOIN scratch.bodies AS b ON b.sha = c.sha
    WHERE b.sha IS NULL;
    CREATE TEMP TABLE strange_ids AS
    SELECT DISTINCT event_id FROM scratch.bodies
    WHERE event_id IN (SELECT event_id FROM strange_bodies);
    CREATE TEMP TABLE strange AS
    SELECT seq, event_id, event_id IN (SELECT event_id FROM strange_ids) AS is_known
    FROM stored WHERE replay_of IS NULL AND sha IN (SELECT sha FROM strange_bodies);

    -- Messages with no row of their own: waiting, a duplicate, or lost on the way.
    CREATE TEMP TABLE endless AS
    SELECT s.seq, s.event_id, s.sha,
           s.seq > (SELECT value FROM data.counters WHERE name = 'position')
               OR s.seq IN (SELECT seq FROM data.retries) AS is_waiting
    FROM stored AS s LEFT JOIN data.processed AS p ON p.seq = s.seq
    WHERE p.seq IS NULL AND s.seq NOT IN (SELECT seq FROM data.failed);

    -- Conflicts, by the program's word, and what stood at that time.
    CREATE TEMP TABLE conflicts (event_id TEXT, source TEXT, seq INTEGER, sha INTEGER,
                                 PRIMARY KEY (event_id, source, seq)) WITHOUT ROWID;
    INSERT OR IGNORE INTO conflicts
    SELECT f.event_id, f.source, f.seq, s.sha FROM data.failed AS f
    JOIN stored AS s ON s.seq = f.seq WHERE f.reason = 'event_id_conflict';
    CREATE TEMP TABLE standing AS
    SELECT DISTINCT c.event_id, c.source, c.seq FROM data.processed AS p CROSS JOIN conflicts AS c
        ON c.event_id = p.event_id AND c.source = p.source;

    -- Processed events of which there are copies, by count or in fact.
    CREATE TEMP TABLE heads (sha INTEGER PRIMARY KEY, event_id TEXT, duplicates INTEGER);
    INSERT INTO heads
    SELECT s.sha, p.event_id, sum(p.duplicates) FROM data.processed AS p
    JOIN stored AS s ON s.seq = p.seq
    WHERE p.duplicates > 0 OR s.sha IN (SELECT sha FROM endless UNION SELECT sha FROM conflicts)
    GROUP BY s.sha;

    -- Ids to which a conflicting body was sent, after the first one had been acknowledged.
    CREATE TEMP TABLE contested (event_id TEXT, source TEXT, first INTEGER,
                                 PRIMARY KEY (event_id, source)) WITHOUT ROWID;
    INSERT INTO contested
    SELECT b.event_id, b.source, min(c.first) FROM scratch.bodies AS b
    JOIN scratch.copies AS c ON c.sha = b.sha WHERE b.kind = 2 GROUP BY 1, 2;

    -- Conflicting bodies that took effect.
    CREATE TEMP TABLE rivals AS SELECT sha, event_id, source FROM scratch.bodies WHERE kind = 2;
    CREATE UNIQUE INDEX rivals_by_sha ON rivals (sha);
    CREATE TEMP TABLE winners (event_id TEXT, source TEXT, seq INTEGER,
                               PRIMARY KEY (event_id, source, seq)) WITHOUT ROWID;
    INSERT INTO winners
    SELECT b.event_id, b.source, s.seq FROM stored AS s CROSS JOIN rivals AS b ON b.sha = s.sha
    CROSS JOIN data.processed AS p ON p.seq = s.seq;
"""

LOST = """
    SELECT b.event_id || CASE WHEN b.acked > 1
           THEN ': acknowledged ' || b.acked || ' times, stored ' || coalesce(c.n, 0) || ' times'
           ELSE ': acknowledged and not stored' END
    FROM scratch.bodies AS b LEFT JOIN scratch.copies AS c ON c.sha = b.sha
    WHERE b.acked > coalesce(c.n, 0)
      AND b.acked > coalesce(c.n, 0) + (SELECT count(*) FROM strange AS s
                                        WHERE s.event_id = b.event_id)"""

INVENTED = """
    SELECT event_id || ': stored as message ' || seq || ', but nobody sent it'
    FROM strange WHERE NOT is_known
    UNION ALL
    SELECT b.event_id || ': stored ' || c.n || ' times, acknowledged ' || b.acked || ', unknown ' ||
           b.unknown || ', rejected ' || b.rejected
    FROM scratch.copies AS c JOIN scratch.bodies AS b ON b.sha = c.sha
    WHERE c.n > b.acked + b.unknown"""

INVALID_ACKED = """
    SELECT event_id || ': invalid, and ' ||
           CASE WHEN acked > 0 THEN 'acknowledged' ELSE 'stored' END FROM scratch.bodies
    WHERE kind = 3 AND (acked > 0 OR sha IN (SELECT sha FROM scratch.copies))"""

CHANGED = """
    SELECT event_id || ': message ' || seq || ' has bytes that nobody sent'
    FROM strange WHERE is_known"""

NOT_FIRST = """
    SELECT b.event_id || ': a conflicting body stands before the one first sent'
    FROM scratch.bodies AS b CROSS JOIN contested AS x
        ON x.event_id = b.event_id AND x.source = b.source
    JOIN scratch.copies AS c ON c.sha = b.sha WHERE b.kind = 0 AND c.first > x.first"""

# Only a conflicting body loses against the one first sent, unless that failed for another reason.
SWAPPED = """
    SELECT w.event_id || ': a conflicting body was processed, as message ' || w.seq ||
           ', although the one first sent came before'
    FROM scratch.bodies AS b CROSS JOIN winners AS w
        ON w.event_id = b.event_id AND w.source = b.source
    JOIN scratch.copies AS c ON c.sha = b.sha WHERE b.kind = 0 AND c.first < w.seq AND NOT EXISTS
        (SELECT 1 FROM data.failed AS f WHERE f.event_id = b.event_id AND f.source = b.source
                                          AND f.reason <> 'event_id_conflict')"""

FAILED_BODY = """
    SELECT r.event_id || ': the body of failure ' || f.id || ' is not that of its message'
    FROM data.failed AS f JOIN queue.raw_events AS r ON r.seq = f.seq
    WHERE CAST(f.body AS BLOB) <> CAST(r.body AS BLOB) AND f.reason <> 'unstorable'"""

FAILED_ROW = """
    SELECT DISTINCT e.value ->> 'event_id' || ': failure ' || f.id || ' says other than its body'
    FROM data.failed AS f JOIN queue.raw_events AS r ON r.seq = f.seq
    JOIN json_each('[' || CASE WHEN json_valid(r.body) THEN r.body ELSE '' END || ']') AS e
    WHERE (f.event_id, f.correlation_id, f.received_at_us)
            IS NOT (e.value ->> 'event_id', r.correlation_id, r.received_at)
       OR (f.source, f.event_type, f.customer_id)
            IS NOT (coalesce(e.value ->> 'source', ''), e.value ->> 'event_type',
                    coalesce(e.value ->> 'customer_id', ''))
          -- What ends the process each time is not read again.
          AND (f.reason, f.source, f.event_type, f.customer_id)
            IS NOT ('crashed_the_worker', '', '', '')"""

# Good events fail only when the test provoked it: all others of ours lose against another body.
FAILED_WRONGLY = """
    SELECT b.event_id, b.source, f.reason, f.seq
    FROM data.failed AS f CROSS JOIN stored AS s ON s.seq = f.seq
    JOIN scratch.bodies AS b ON b.sha = s.sha
    WHERE NOT (f.reason = 'event_id_conflict' AND b.kind = 2) ORDER BY f.seq"""

TWO_ENDS = """
    SELECT p.event_id || ': message ' || p.seq || ' is both processed and failed'
    FROM data.failed AS f JOIN data.processed AS p ON p.seq = f.seq
    UNION ALL
    SELECT event_id || ': message ' || seq || ' failed ' || count(*) || ' times'
    FROM data.failed GROUP BY seq HAVING count(*) > 1"""

NO_MESSAGE = """
    SELECT p.event_id || ': processed as message ' || p.seq || ', which is not there'
    FROM data.processed AS p LEFT JOIN queue.raw_events AS r ON r.seq = p.seq WHERE r.seq IS NULL
    UNION ALL
    SELECT f.event_id || ': failed as message ' || f.seq || ', which is not there'
    FROM data.failed AS f LEFT JOIN queue.raw_events AS r ON r.seq = f.seq
    WHERE r.seq IS NULL AND f.reason <> 'message_lost'"""

NO_END = """
    SELECT event_id || ': message ' || seq || ' has no end: not processed, not failed, no copy'
    FROM endless WHERE NOT is_waiting AND sha NOT IN (SELECT sha FROM heads)
      AND event_id NOT IN (SELECT event_id FROM strange)"""

MISCOUNTED = """
    SELECT h.event_id || ': ' || coalesce(e.n, 0) || ' copies came, duplicates says ' ||
           h.duplicates
    FROM heads AS h LEFT JOIN
        (SELECT sha, count(*) AS n FROM endless WHERE NOT is_waiting GROUP BY sha) AS e
        ON e.sha = h.sha
    WHERE h.duplicates <> coalesce(e.n, 0)
      AND h.event_id NOT IN (SELECT event_id FROM strange)"""

CONFLICT_OF_NOTHING = """
    SELECT event_id || ': message ' || seq || ' failed as a conflict, but nothing stands'
    FROM conflicts WHERE (event_id, source, seq) NOT IN (SELECT * FROM standing)
    UNION ALL
    SELECT c.event_id || ': message ' || c.seq || ' failed as a conflict, but has the same body'
    FROM conflicts AS c JOIN heads AS h ON h.sha = c.sha"""

STILL_WAITING = """
    SELECT event_id || ': still waits, as message ' || seq FROM endless WHERE is_waiting"""

TWICE = """
    SELECT event_id || ': processed ' || count(*) || ' times' FROM data.processed
    GROUP BY event_id, source HAVING count(*) > 1"""

MATCH_OF_NOTHING = """
    SELECT coalesce(r.event_id, 'message ' || m.seq) || ': a match of ' || m.campaign_id ||
           ', but the event was not processed'
    FROM data.matches AS m LEFT JOIN data.processed AS p ON p.seq = m.seq
    LEFT JOIN queue.raw_events AS r ON r.seq = m.seq WHERE p.seq IS NULL"""

# A campaign's versions only grow with the messages (those tried again excepted).
OUT_OF_ORDER = """
    SELECT event_id || ': ' || campaign_id || ' version ' || v || ' between version ' ||
           coalesce(before, 'none') || ' and ' || coalesce(after, 'none')
    FROM (SELECT m.campaign_id, m.campaign_version AS v, p.event_id,
                 lag(m.campaign_version) OVER w AS before, lead(m.campaign_version) OVER w AS after
          FROM data.matches AS m JOIN data.processed AS p ON p.seq = m.seq AND p.attempt = 1
          WHERE m.campaign_id IN (SELECT campaign_id FROM data.campaign_versions
                                  GROUP BY campaign_id HAVING count(*) > 1)
          WINDOW w AS (PARTITION BY m.campaign_id ORDER BY m.seq))
    WHERE (v > after OR v < before) AND (before IS NULL OR after IS NULL OR before <= after)"""

BOOKS = {
    "processed": "SELECT count(*) FROM data.processed",
    "failed": "SELECT count(*) FROM data.failed",
    "duplicate": "SELECT coalesce(sum(duplicates), 0) FROM data.processed",
    "matches": "SELECT count(*) FROM data.matches",
    "replayed": "SELECT count(*) FROM data.failed WHERE replayed_at_us IS NOT NULL",
}

# What asks the program's tables alone: no need to wait for the scratch database.
OF_DATA_ALONE = (TWICE, NO_MESSAGE, MATCH_OF_NOTHING, OUT_OF_ORDER, TWO_ENDS, FAILED_BODY,
                 FAILED_ROW, *BOOKS.values())
