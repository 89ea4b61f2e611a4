-- A row of each partitioned table at each of some moments.

-- name: webhook_deliveries
INSERT INTO webhook_deliveries (organization_id, webhook_id, event_type, payload, created_at)
SELECT %(team)s, %(webhook)s, 'x', '{}', moment
FROM unnest(%(moments)s::timestamptz[]) AS moment

-- name: events
INSERT INTO events (organization_id, aggregate_type, aggregate_id, event_type, event_data, version, created_at)
SELECT %(team)s, 'x', gen_random_uuid(), 'x', '{}', 1, moment
FROM unnest(%(moments)s::timestamptz[]) AS moment

-- name: integration_executions
INSERT INTO integration_executions (organization_id, integration_id, trigger_type, started_at)
SELECT %(team)s, %(integration)s, 'manual', moment
FROM unnest(%(moments)s::timestamptz[]) AS moment

-- name: audit_logs
INSERT INTO audit_logs (organization_id, action, resource_type, created_at)
SELECT %(team)s, 'x', 'x', moment
FROM unnest(%(moments)s::timestamptz[]) AS moment

-- name: metrics
INSERT INTO metrics (organization_id, metric_name, metric_type, value, recorded_at)
SELECT %(team)s, 'x', 'gauge', 1, moment
FROM unnest(%(moments)s::timestamptz[]) AS moment
