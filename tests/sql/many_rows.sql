-- 200 organizations with 50,000 integrations, 20,000 of them the first one's, of which the person in tests.user_id is an
-- admin; children of some of them, and an event for each, in every partition. Past the triggers, which would write two more rows for each.
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

SET session_replication_role = DEFAULT;
ANALYZE;
