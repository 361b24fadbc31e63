-- eventflow.db, schema 2: a checksum for every stored value, also for those that change.
--
-- row_checksum(value, ...) is a function of the program: 64-bit XXH3 over types and contents.
-- failed.checksum stays that of the failure; its replay comes later and has one of its own.

ALTER TABLE failed         ADD COLUMN replay_checksum INTEGER; -- NULL: open
ALTER TABLE retries        ADD COLUMN checksum INTEGER;
ALTER TABLE campaign_heads ADD COLUMN checksum INTEGER;
ALTER TABLE counters       ADD COLUMN checksum INTEGER;
ALTER TABLE migrations     ADD COLUMN checksum INTEGER;

UPDATE failed SET replay_checksum = row_checksum(id, replayed_at_us, replay_seq)
    WHERE replayed_at_us IS NOT NULL;
UPDATE retries SET checksum =
    row_checksum(seq, attempt, due_us, first_failed_at_us, reason, error);
UPDATE campaign_heads SET checksum = row_checksum(campaign_id, version, deleted_at_us);
UPDATE counters SET checksum = row_checksum(name, value);
UPDATE migrations SET checksum = row_checksum(number, name, applied_at_us);
