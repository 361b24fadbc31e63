-- queue.db as schema 1 wrote it, by sqlite3's .dump. Never changed again.
BEGIN TRANSACTION;
CREATE TABLE raw_events ( seq INTEGER PRIMARY KEY, received_at INTEGER NOT NULL, event_id TEXT NOT NULL, correlation_id TEXT NOT NULL, traceparent TEXT, replay_of INTEGER, body TEXT NOT NULL);
INSERT INTO raw_events VALUES(1,1795280825079137,'old-1','f68d1d28affc7c8a8670cba6a4e9701c',NULL,NULL,'{"event_id":"old-1","event_type":"purchase","customer_id":"c1","payload":{"amount":75}}');
INSERT INTO raw_events VALUES(2,1795280825102146,'old-2','652497a4fe1138e33eabfb5b503c5299',NULL,NULL,'{"event_id":"old-2","event_type":"signup","customer_id":"c2"}');
INSERT INTO raw_events VALUES(3,1795280825646668,'old-1','f68d1d28affc7c8a8670cba6a4e9701c',NULL,NULL,'{"event_id":"old-1","event_type":"purchase","customer_id":"c1","payload":{"amount":75}}');
INSERT INTO raw_events VALUES(4,1795280825667822,'old-1','f68d1d28affc7c8a8670cba6a4e9701c',NULL,NULL,'{"event_id":"old-1","event_type":"purchase","customer_id":"c1","payload":{"amount":76}}');
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES('created_at','2026-11-21T17:07:04.147950Z');
INSERT INTO meta VALUES('created_by','eventflow 0.1.0');
INSERT INTO meta VALUES('schema_version','1');
CREATE VIEW events_received AS SELECT seq, event_id, strftime('%Y-%m-%dT%H:%M:%S', received_at / 1000000, 'unixepoch') || printf('.%06dZ', received_at % 1000000) AS received_at, correlation_id, traceparent, replay_of, body FROM raw_events;
-- One that waits, and (below in eventflow.sql) was being tried when the process ended.
INSERT INTO raw_events VALUES(5,1795280825700000,'old-5','652497a4fe1138e33eabfb5b503c5299',NULL,NULL,'{"event_id":"old-5","event_type":"signup","customer_id":"c5"}');
PRAGMA application_id = 1165379185;
PRAGMA user_version = 1;
COMMIT;
