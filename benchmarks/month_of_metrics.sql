-- A month of points of one metric of team 1, spread evenly, twenty integrations, three regions, twenty hosts; and a tenth
-- as many of other metrics. %(month)s is its first moment. Needs a superuser.
SELECT create_month_partition('metrics', %(month)s);

SET session_replication_role = replica;
INSERT INTO metrics (metric_name, metric_type, value, labels, integration_id, user_id, organization_id, recorded_at)
SELECT 'request_seconds', 'gauge', round((1000 * random())::numeric, 3),
    jsonb_build_object('region', (ARRAY['eu', 'us', 'ap'])[1 + mod(number, 3)], 'host', 'web-' || mod(number, 20)),
    md5('integration ' || 1 + 100 * mod(number, 20))::uuid, md5('user 1')::uuid, md5('team 1')::uuid,
    %(month)s::timestamptz + number * (interval '28 days' / %(rows)s)
FROM generate_series(0, %(rows)s - 1) AS number;
INSERT INTO metrics (metric_name, metric_type, value, user_id, organization_id, recorded_at)
SELECT 'metric_' || mod(number, 10), 'counter', 1, md5('user 1')::uuid, md5('team ' || 1 + mod(number, 100))::uuid,
    %(month)s::timestamptz + number * (interval '28 days' / (%(rows)s / 10))
FROM generate_series(0, %(rows)s / 10 - 1) AS number;
RESET session_replication_role;

VACUUM ANALYZE metrics;
CHECKPOINT;
