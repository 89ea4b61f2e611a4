-- no transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_events_region ON events (organization_id, region);
