-- violation: idx_careless
CREATE INDEX idx_careless ON webhooks (is_active);
-- violation: idx_careless
CREATE INDEX idx_careless ON webhooks (organization_id);
-- violation: idx_careless
CREATE INDEX idx_careless ON api_keys (key_hash);
-- violation: idx_careless
CREATE INDEX idx_careless ON integrations (status) WHERE deleted_at IS NULL;
