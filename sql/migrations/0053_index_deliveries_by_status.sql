-- no transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_webhook_deliveries_status ON webhook_deliveries USING brin (response_status);
