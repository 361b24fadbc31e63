-- eventflow.db, schema 1: what happened to every event, and the campaigns.
--
-- Never changed again, comments inside the statements included: SQLite keeps a statement's text,
-- and `doctor --full` compares it with that of files made long ago.
--
-- Base tables hold times as INTEGER microseconds UTC since 1970 (columns *_us). The views under
-- the names people look for (processed_events, campaign_matches, failed_events, campaigns,
-- campaign_history) show the same rows with RFC 3339 times.
-- checksum: 64-bit XXH3 over the row's other columns (the ones that change later excepted:
-- processed.duplicates, failed.replayed_at_us and replay_seq, which the counters cover).

CREATE TABLE migrations (
    number        INTEGER PRIMARY KEY,
    name          TEXT    NOT NULL,
    applied_at_us INTEGER NOT NULL
) STRICT;

-- Written in the transaction of what they count, so they always equal the rows.
CREATE TABLE counters (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO counters (name, value) VALUES
    ('processed', 0), ('failed', 0), ('duplicate', 0), ('matches', 0), ('replayed', 0),
    ('position', 0), ('campaign_generation', 0);

-- One row an event, appended in the order of the queue. No unique index on the ids: random ids
-- would make it the most expensive part of the program. The store keeps an exact index in memory
-- and creates processed_by_id (event_id, source) only when that grows beyond its limit.
CREATE TABLE processed (
    seq             INTEGER PRIMARY KEY, -- of the message in queue.db (raw_events)
    event_id        TEXT    NOT NULL,
    source          TEXT    NOT NULL,
    event_type      TEXT    NOT NULL,
    customer_id     TEXT    NOT NULL,
    correlation_id  TEXT    NOT NULL,
    at_us           INTEGER NOT NULL,    -- the event's own time
    received_at_us  INTEGER NOT NULL,
    processed_at_us INTEGER NOT NULL,
    processing_us   INTEGER NOT NULL,
    worker_id       TEXT    NOT NULL,
    attempt         INTEGER NOT NULL,
    match_count     INTEGER NOT NULL,
    digest          BLOB    NOT NULL,    -- 128-bit XXH3 of the body: same event or another one
    checksum        INTEGER NOT NULL,
    duplicates      INTEGER NOT NULL DEFAULT 0 -- how many came after this first one
) STRICT;

-- Clustered by campaign, then time: a campaign's matches lie together and are appended there.
CREATE TABLE matches (
    campaign_id      TEXT    NOT NULL,
    seq              INTEGER NOT NULL, -- processed.seq
    campaign_version INTEGER NOT NULL,
    outcome          TEXT    NOT NULL, -- "granted"
    rewards          TEXT    NOT NULL, -- JSON array
    matched_at_us    INTEGER NOT NULL,
    checksum         INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX matches_by_seq ON matches (seq, campaign_id); -- only ever appended to

CREATE TABLE failed (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    seq                INTEGER NOT NULL, -- of the message that failed
    event_id           TEXT    NOT NULL, -- empty when it could not be decoded
    source             TEXT    NOT NULL,
    event_type         TEXT    NOT NULL,
    customer_id        TEXT    NOT NULL,
    correlation_id     TEXT    NOT NULL,
    reason             TEXT    NOT NULL, -- a word: "invalid", "event_id_conflict", ...
    error              TEXT    NOT NULL,
    attempts           INTEGER NOT NULL,
    body               BLOB    NOT NULL, -- as it came
    received_at_us     INTEGER NOT NULL,
    first_failed_at_us INTEGER NOT NULL,
    last_failed_at_us  INTEGER NOT NULL,
    checksum           INTEGER NOT NULL,
    replayed_at_us     INTEGER,          -- NULL: open
    replay_seq         INTEGER           -- the message that replayed it
) STRICT;

CREATE INDEX failed_by_event  ON failed (event_id);
CREATE INDEX failed_by_reason ON failed (reason);

-- Messages to be tried again, and those being tried under suspicion. The reason is for people who
-- look into the file; the program reads only the error.
CREATE TABLE retries (
    seq                INTEGER PRIMARY KEY,
    attempt            INTEGER NOT NULL, -- attempts made or begun so far
    due_us             INTEGER NOT NULL,
    first_failed_at_us INTEGER NOT NULL,
    reason             TEXT    NOT NULL,
    error              TEXT    NOT NULL
) STRICT;

-- Every version of every campaign, for ever.
CREATE TABLE campaign_versions (
    campaign_id   TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    name          TEXT    NOT NULL,
    status        TEXT    NOT NULL,
    document      TEXT    NOT NULL, -- JSON
    created_at_us INTEGER NOT NULL, -- of the campaign
    updated_at_us INTEGER NOT NULL, -- of this version
    checksum      INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, version)
) STRICT;

-- Which version counts. A deleted campaign keeps its row, so its version numbers continue.
CREATE TABLE campaign_heads (
    campaign_id   TEXT    PRIMARY KEY,
    version       INTEGER NOT NULL,
    deleted_at_us INTEGER
) STRICT, WITHOUT ROWID;

CREATE VIEW processed_events AS
SELECT event_id, source, event_type, customer_id,
       strftime('%Y-%m-%dT%H:%M:%S',
                (at_us - ((at_us % 1000000) + 1000000) % 1000000) / 1000000, 'unixepoch')
           || printf('.%06dZ', ((at_us % 1000000) + 1000000) % 1000000) AS timestamp,
       strftime('%Y-%m-%dT%H:%M:%S', received_at_us / 1000000, 'unixepoch')
           || printf('.%06dZ', received_at_us % 1000000) AS received_at,
       strftime('%Y-%m-%dT%H:%M:%S', processed_at_us / 1000000, 'unixepoch')
           || printf('.%06dZ', processed_at_us % 1000000) AS processed_at,
       processing_us / 1000.0 AS processing_ms,
       worker_id, attempt, match_count, duplicates, correlation_id, seq
FROM processed;

CREATE VIEW campaign_matches AS
SELECT m.campaign_id, p.event_id, p.source, p.event_type, p.customer_id,
       m.campaign_version, m.outcome, m.rewards,
       strftime('%Y-%m-%dT%H:%M:%S', m.matched_at_us / 1000000, 'unixepoch')
           || printf('.%06dZ', m.matched_at_us % 1000000) AS matched_at,
       p.correlation_id, m.seq
FROM matches AS m LEFT JOIN processed AS p ON p.seq = m.seq;

CREATE VIEW failed_events AS
SELECT id, event_id, source, event_type, customer_id, reason, error, attempts,
       strftime('%Y-%m-%dT%H:%M:%S', received_at_us / 1000000, 'unixepoch')
           || printf('.%06dZ', received_at_us % 1000000) AS received_at,
       strftime('%Y-%m-%dT%H:%M:%S', first_failed_at_us / 1000000, 'unixepoch')
           || printf('.%06dZ', first_failed_at_us % 1000000) AS first_failed_at,
       strftime('%Y-%m-%dT%H:%M:%S', last_failed_at_us / 1000000, 'unixepoch')
           || printf('.%06dZ', last_failed_at_us % 1000000) AS last_failed_at,
       strftime('%Y-%m-%dT%H:%M:%S', replayed_at_us / 1000000, 'unixepoch')
           || printf('.%06dZ', replayed_at_us % 1000000) AS replayed_at,
       replay_seq, correlation_id, seq, CAST(body AS TEXT) AS body
FROM failed;

CREATE VIEW campaign_history AS
SELECT campaign_id AS id, version, name, status,
       strftime('%Y-%m-%dT%H:%M:%S', created_at_us / 1000000, 'unixepoch')
           || printf('.%06dZ', created_at_us % 1000000) AS created_at,
       strftime('%Y-%m-%dT%H:%M:%S', updated_at_us / 1000000, 'unixepoch')
           || printf('.%06dZ', updated_at_us % 1000000) AS updated_at,
       document
FROM campaign_versions;

CREATE VIEW campaigns AS
SELECT v.id, v.name, v.status, v.version, v.created_at, v.updated_at, v.document
FROM campaign_heads AS h
JOIN campaign_history AS v ON v.id = h.campaign_id AND v.version = h.version
WHERE h.deleted_at_us IS NULL;
