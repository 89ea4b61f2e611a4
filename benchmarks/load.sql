-- 1,000 teams of 200 integrations each, and their owners. Every identifier is the MD5 of a name and a number, so
-- that whoever measures can compute it: pgbench has integers only. Needs a superuser.

-- no triggers, no events, no look-ups of foreign keys while loading
SET session_replication_role = replica;

INSERT INTO organizations (id, name, slug, personal_user_id)
SELECT md5('personal ' || number)::uuid, 'User ' || number, 'personal-' || number, md5('user ' || number)::uuid
FROM generate_series(1, %(teams)s) AS number;

INSERT INTO organizations (id, name, slug)
SELECT md5('team ' || number)::uuid, 'Team ' || number, 'team-' || number
FROM generate_series(1, %(teams)s) AS number;

INSERT INTO users (id, email, name, password_hash)
SELECT md5('user ' || number)::uuid, 'user' || number || '@example.org', 'User ' || number, 'none'
FROM generate_series(1, %(teams)s) AS number;

INSERT INTO organization_members (organization_id, user_id, role)
SELECT md5(kind || number)::uuid, md5('user ' || number)::uuid, 'owner'
FROM generate_series(1, %(teams)s) AS number, unnest(ARRAY['personal ', 'team ']) AS kind;

-- each key belongs to a user of its own and reaches both organizations; the floor's have hashes that it can compute
INSERT INTO api_keys (user_id, name, key_hash, key_prefix, permissions, rate_limit)
SELECT md5('user ' || number)::uuid, 'service', hash, 'ccb_', ARRAY['*'], 100000000
FROM unnest(%(key_hashes)s::text[]) WITH ORDINALITY AS keys (hash, number)
UNION ALL
SELECT md5('user ' || number)::uuid, 'floor', repeat(md5('key ' || number), 2), 'ccb_', ARRAY['*'], 100000000
FROM generate_series(1, cardinality(%(key_hashes)s::text[])) AS number;

-- one integration of each team in turn, as they come about in life: a page of a list is spread over the table
INSERT INTO integrations (
    id, name, description, status, service_type, config, capabilities, metadata, author_id, organization_id,
    repository_url, created_at, updated_at
)
SELECT
    md5('integration ' || number)::uuid,
    'Integration ' || number,
    'Takes orders from the shop, looks up stock and prices, and posts what was sold into the ledger of team ' || team || '.',
    (ARRAY['draft', 'testing', 'active', 'active', 'inactive'])[1 + mod(number, 5)],
    (ARRAY['rest', 'graphql', 'soap', 'grpc'])[1 + mod(number, 4)],
    jsonb_build_object('base_url', 'https://api' || number || '.example.org', 'timeout_seconds', 30, 'retries', 3,
        'headers', jsonb_build_object('Accept', 'application/json')),
    ARRAY['orders.read', 'stock.read', 'ledger.write'],
    jsonb_build_object('owner', 'team ' || team, 'tier', mod(number, 3)),
    md5('user ' || team)::uuid,
    md5('team ' || team)::uuid,
    'https://git.example.org/integration-' || number,
    moment,
    moment
FROM generate_series(1, %(teams)s * %(integrations_per_team)s) AS number
CROSS JOIN LATERAL (
    SELECT 1 + mod(number - 1, %(teams)s) AS team, timestamptz '2025-01-01' + number * interval '2 minutes' AS moment
) AS placed;

RESET session_replication_role;
