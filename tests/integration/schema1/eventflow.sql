-- eventflow.db as schema 1 wrote it, by sqlite3's .dump. Never changed again.
BEGIN TRANSACTION;
CREATE TABLE migrations (
    number        INTEGER PRIMARY KEY,
    name          TEXT    NOT NULL,
    applied_at_us INTEGER NOT NULL
) STRICT;
INSERT INTO migrations VALUES(1,'init',1795280824100000);
CREATE TABLE counters (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters VALUES('campaign_generation',3);
INSERT INTO counters VALUES('duplicate',1);
INSERT INTO counters VALUES('failed',1);
INSERT INTO counters VALUES('matches',1);
INSERT INTO counters VALUES('position',4);
INSERT INTO counters VALUES('processed',2);
INSERT INTO counters VALUES('replayed',0);
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
INSERT INTO processed VALUES(1,'old-1','','purchase','c1','f68d1d28affc7c8a8670cba6a4e9701c',1795280825079137,1795280825079137,1795280825091629,18,'worker-1',1,0,X'c4420ce1c97d8272a35c5b597178997f',3318025457549863474,1);
INSERT INTO processed VALUES(2,'old-2','','signup','c2','652497a4fe1138e33eabfb5b503c5299',1795280825102146,1795280825102146,1795280825131619,14,'worker-1',1,1,X'b1d7d89557d9fd11a1f90a5ab5c6c546',1058890717676245748,0);
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
INSERT INTO matches VALUES('welcome',2,1,'granted','[{"type":"email","data":{"template":"welcome"}}]',1795280825131619,8648618521055939884);
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
INSERT INTO failed VALUES(1,4,'old-1','','purchase','c1','f68d1d28affc7c8a8670cba6a4e9701c','event_id_conflict','this event_id was processed with another body as message 1; that one stands',1,X'7b226576656e745f6964223a226f6c642d31222c226576656e745f74797065223a227075726368617365222c22637573746f6d65725f6964223a226331222c227061796c6f6164223a7b22616d6f756e74223a37367d7d',1795280825667822,1795280825683643,1795280825683643,5346184711672080729,NULL,NULL);
CREATE TABLE retries (
    seq                INTEGER PRIMARY KEY,
    attempt            INTEGER NOT NULL, -- attempts made or begun so far
    due_us             INTEGER NOT NULL,
    first_failed_at_us INTEGER NOT NULL,
    reason             TEXT    NOT NULL,
    error              TEXT    NOT NULL
) STRICT;
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
INSERT INTO campaign_versions VALUES('credit-over-50',1,'$10 credit for every purchase over $50','active','{"id":"credit-over-50","name":"$10 credit for every purchase over $50","description":"Every purchase in US dollars above 50 earns a credit of 10 dollars.","status":"active","rules":{"event_type":["purchase"],"payload":{"amount":[{"numeric":[">",50]}],"currency":["USD"]}},"then":[{"type":"credit","amount":10,"unit":"USD"}]}',1795280824160202,1795280824160202,-3824421162311410620);
INSERT INTO campaign_versions VALUES('welcome',1,'Welcome e-mail to new signups','active','{"id":"welcome","name":"Welcome e-mail to new signups","status":"active","rules":{"event_type":["signup"]},"then":[{"type":"email","data":{"template":"welcome"}}]}',1795280824167520,1795280824167520,-8356188616939570615);
INSERT INTO campaign_versions VALUES('full-cart',1,'Free shipping for carts with five items or more','active','{"id":"full-cart","name":"Free shipping for carts with five items or more","status":"active","rules":{"event_type":["cart_updated"],"payload":{"items":[{"numeric":[">=",5]}]}},"then":[{"type":"coupon","data":{"code":"FREESHIP"}}]}',1795280824175521,1795280824175521,-2038792742344730243);
CREATE TABLE campaign_heads (
    campaign_id   TEXT    PRIMARY KEY,
    version       INTEGER NOT NULL,
    deleted_at_us INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO campaign_heads VALUES('credit-over-50',1,NULL);
INSERT INTO campaign_heads VALUES('full-cart',1,NULL);
INSERT INTO campaign_heads VALUES('welcome',1,NULL);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('failed',1);
CREATE INDEX matches_by_seq ON matches (seq, campaign_id);
CREATE INDEX failed_by_event  ON failed (event_id);
CREATE INDEX failed_by_reason ON failed (reason);
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
INSERT INTO retries VALUES(5,1,1795280825700000,1795280825700000,'','');
PRAGMA application_id = 1162234963;
PRAGMA user_version = 1;
COMMIT;
