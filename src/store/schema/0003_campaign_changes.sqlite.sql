-- eventflow.db, schema 3: which campaigns changed since a generation, without reading all of them.
--
-- Every change of a campaign makes the next generation, and its head keeps the number. So the
-- newest head has the generation of the counter; of the changes made before this schema only the
-- last number is known, and all heads get it.

ALTER TABLE campaign_heads ADD COLUMN generation INTEGER NOT NULL DEFAULT 0; -- of the last change

UPDATE campaign_heads SET generation =
    (SELECT value FROM counters WHERE name = 'campaign_generation');
UPDATE campaign_heads SET checksum =
    row_checksum(campaign_id, version, deleted_at_us, generation);

CREATE INDEX campaign_heads_by_generation ON campaign_heads (generation);

-- The gauges ask every second: counting the rows would take as long as there are campaigns.
INSERT INTO counters (name, value)
SELECT 'campaigns_active', count(*)
FROM campaign_heads AS h
JOIN campaign_versions AS v ON v.campaign_id = h.campaign_id AND v.version = h.version
WHERE h.deleted_at_us IS NULL AND v.status = 'active';
UPDATE counters SET checksum = row_checksum(name, value) WHERE name = 'campaigns_active';
