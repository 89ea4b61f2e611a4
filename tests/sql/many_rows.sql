-- 200 organizations with 50,000 integrations, 20,000 of them the first one's, of which the person in tests.user_id is an
-- admin; children of some of them, an event and an audit log for each, in every partition, and as many points of metrics.
-- Past the triggers, which would write two more rows for each.
SET session_replication_role = replica;

INSERT INTO organizations (id, name, slug)
SELECT md5('organization ' || n)::uuid, 'Team ' || n, 'many-' || n FROM generate_series(1, 200) AS n;

INSERT INTO organization_members (organization_id, user_id, role)
SELECT md5('organization ' || n)::uuid, gen_random_uuid(), 'viewer' FROM generate_series(1, 200) AS n, generate_series(1, 20);
INSERT INTO organization_members (organization_id, user_id, role)
VALUES (md5('organization 1')::uuid, current_setting('tests.user_id')::uuid, 'admin');

INSERT INTO integrations (id, organization_id, author_id, name, service_type, status, created_at, updated_at)
SELECT md5('integration ' || n)::uuid, md5('organization ' || CASE WHEN n % 5 < 2 THEN 1 ELSE 1 + n % 200 END)::uuid, current_setting('tests.user_id')::uuid,
    'Integration ' || md5(n::text), 'rest', CASE WHEN n % 3 = 0 THEN 'active' ELSE 'draft' END,
    now() - n * interval '7 minutes', now() - (n * 7919 % 50000) * interval '5 minutes'
FROM generate_series(1, 50000) AS n;

INSERT INTO integration_versions (organization_id, integration_id, version, created_by, created_at)
SELECT organization_id, id, '1.' || n, author_id, created_at + n * interval '1 minute'
FROM integrations, generate_series(1, 2) AS n WHERE name < 'Integration 4';
INSERT INTO integration_versions (organization_id, integration_id, version, created_by, created_at)
SELECT md5('organization 1')::uuid, md5('integration 200')::uuid, '2.' || n, current_setting('tests.user_id')::uuid,
    now() - n * interval '1 minute'
FROM generate_series(1, 300) AS n;

INSERT INTO integration_dependencies (organization_id, integration_id, dependency_name, created_at)
SELECT organization_id, id, 'dependency ' || n, created_at + n * interval '1 minute'
FROM integrations, generate_series(1, 2) AS n WHERE name < 'Integration 4';

INSERT INTO events (organization_id, aggregate_type, aggregate_id, event_type, event_data, version, created_at)
SELECT organization_id, 'integration', id, 'integration.created', '{}', 1, '2024-06-01'::timestamptz + random() * (now() + interval '8 months' - '2024-06-01')
FROM integrations;

INSERT INTO integration_executions (organization_id, integration_id, trigger_type, status, started_at)
SELECT organization_id, id, 'manual', 'completed', '2024-12-01'::timestamptz + random() * (now() + interval '8 months' - '2024-12-01')
FROM integrations;
INSERT INTO integration_executions (organization_id, integration_id, trigger_type, status, started_at)
SELECT md5('organization 1')::uuid, md5('integration 200')::uuid, 'manual', 'completed', now() - n * interval '1 hour'
FROM generate_series(1, 3000) AS n;
INSERT INTO audit_logs (organization_id, action, resource_type, created_at)
SELECT organization_id, 'integration.created', 'integration', '2024-06-01'::timestamptz + random() * (now() + interval '8 months' - '2024-06-01')
FROM integrations;

INSERT INTO metrics (organization_id, metric_name, metric_type, value, labels, recorded_at)
SELECT md5('organization ' || CASE WHEN n % 5 < 2 THEN 1 ELSE 1 + n % 200 END)::uuid, 'metric ' || n % 7, 'gauge', n,
    '{"region": "eu"}', '2024-06-01'::timestamptz + random() * (now() + interval '8 months' - '2024-06-01')
FROM generate_series(1, 50000) AS n;

INSERT INTO workflows (id, organization_id, workflow_type, name, definition, created_by, created_at, updated_at)
SELECT id, organization_id, 'greeting', 'W' || name, '{}', author_id, created_at, updated_at
FROM integrations WHERE name < 'Integration 4';
INSERT INTO workflow_executions (id, organization_id, workflow_id, integration_id, workflow_type, status, created_at, updated_at)
SELECT id, organization_id, md5('integration ' || length(name) % 3)::uuid, id, 'greeting', 'completed', created_at, updated_at
FROM integrations;
INSERT INTO workflow_step_executions (organization_id, workflow_execution_id, step_name, created_at)
SELECT organization_id, id, '/do/0/greet', created_at FROM workflow_executions;
INSERT INTO workflow_execution_logs (organization_id, workflow_execution_id, message)
SELECT organization_id, id, 'Asked the service.' FROM workflow_executions;
INSERT INTO schedules (id, organization_id, name, workflow_id, cron_expression, created_by, created_at, updated_at)
SELECT id, organization_id, name, id, '0 * * * *', created_by, created_at, updated_at FROM workflows;

SET session_replication_role = DEFAULT;
ANALYZE;
