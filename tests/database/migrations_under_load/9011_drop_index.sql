-- no transaction
DROP INDEX CONCURRENTLY IF EXISTS idx_integrations_region;
