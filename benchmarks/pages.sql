-- %(rows)s rows in each list's table over the last half year, half of them team 1's, the others' spread over a hundred
-- teams. In months of their own where the table is partitioned. Needs a superuser.
SELECT create_month_partition(parent, date_trunc('month', now() AT TIME ZONE 'utc') - ago * interval '1 month')
FROM unnest(ARRAY['events', 'audit_logs', 'integration_executions', 'webhook_deliveries', 'metrics']::regclass[]) AS parent,
    generate_series(1, 6) AS ago;

SET session_replication_role = replica;
CREATE TEMPORARY TABLE placed AS
SELECT number, md5('team ' || CASE WHEN mod(number, 2) = 0 THEN 1 ELSE 1 + mod(number, 100) END)::uuid AS organization_id,
    md5('integration ' || 1 + mod(number, 100))::uuid AS integration_id, md5('user 1')::uuid AS user_id,
    now() - interval '1 hour' - number * (interval '180 days' / %(rows)s) AS moment
FROM generate_series(1, %(rows)s) AS number;

INSERT INTO integrations (organization_id, author_id, name, service_type, created_at, updated_at)
SELECT organization_id, user_id, 'Integration ' || number, 'rest', moment, moment FROM placed;

INSERT INTO integration_executions (organization_id, integration_id, trigger_type, status, started_at, created_at)
SELECT organization_id, integration_id, 'manual', 'completed', moment, moment FROM placed;

INSERT INTO workflow_executions (organization_id, workflow_type, status, created_at, updated_at)
SELECT organization_id, 'deploy', 'completed', moment, moment FROM placed;

INSERT INTO webhook_deliveries (organization_id, webhook_id, event_type, payload, created_at)
SELECT organization_id, integration_id, 'integration.created', '{"type": "integration.created"}', moment FROM placed;

INSERT INTO events (organization_id, aggregate_type, aggregate_id, event_type, event_data, version, created_at)
SELECT organization_id, 'integration', integration_id, 'integration.updated', '{"new": {"name": "b"}}', number, moment FROM placed;

INSERT INTO audit_logs (organization_id, user_id, action, resource_type, created_at)
SELECT organization_id, user_id, 'integration.updated', 'integration', moment FROM placed;

INSERT INTO metrics (organization_id, user_id, metric_name, metric_type, value, recorded_at)
SELECT organization_id, user_id, 'requests', 'counter', 1, moment FROM placed;
RESET session_replication_role;
DROP TABLE placed;

VACUUM ANALYZE;
CHECKPOINT;
