-- no transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_integrations_region ON integrations (organization_id, region);
