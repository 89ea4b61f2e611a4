-- no transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_webhook_deliveries_webhook ON webhook_deliveries (organization_id, webhook_id, created_at, id);
