-- no transaction
-- For those few that fail among the many that do not: they are counted at every scrape.
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_webhooks_failing ON webhooks (failing_since) WHERE failing_since IS NOT NULL;
