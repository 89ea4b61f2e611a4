-- States of a service, for the operators' page to show.

-- name: two_weeks
-- Samples of a service that has been busy for two weeks: by the minute for two days, by the quarter of an hour before.
INSERT INTO operations_samples (name, taken_at, label, value)
WITH moments AS (
    SELECT moment, 1 AS minutes FROM generate_series(
        date_trunc('minute', now()) - interval '2 days' + interval '1 minute', date_trunc('minute', now()), interval '1 minute') AS moment
    UNION ALL
    SELECT moment, 15 FROM generate_series(
        date_trunc('minute', now()) - interval '14 days', date_trunc('minute', now()) - interval '2 days', interval '15 minutes') AS moment
), waves AS (
    SELECT moment, minutes, 1 + 0.6 * sin(extract(epoch FROM moment) / 86400 * 2 * pi()) AS day,
        0.9 + 0.2 * (hashtext(moment::text) & 255) / 255.0 AS noise
    FROM moments
)
SELECT series.name, moment, series.label, series.value FROM waves CROSS JOIN LATERAL (VALUES
    ('requests', '', 900 * minutes * day * noise),
    ('request_seconds', '', 900 * minutes * day * noise * 0.004 * noise),
    ('slow_requests', 'GET /api/v1/audit-logs/export', CASE WHEN hashtext(moment::text) % 97 = 0 THEN 1 ELSE 0 END),
    ('attempts', 'delivered', 240 * minutes * day * noise),
    ('attempts', 'failed', 2 * minutes * noise),
    ('executions', 'workflow completed', 30 * minutes * day * noise),
    ('executions', 'workflow faulted', 0.2 * minutes * noise),
    ('executions', 'integration completed', 75 * minutes * day * noise),
    ('executions', 'integration failed', 1 * minutes * noise),
    ('queue_depth', 'deliveries', round((40 * day * noise)::numeric)),
    ('queue_oldest_seconds', 'deliveries', 2 * noise),
    ('queue_oldest_seconds', 'executions', 1 * day * noise),
    ('queue_oldest_seconds', 'mail', 3 * noise),
    ('queue_oldest_seconds', 'health_checks', 1 * noise),
    ('webhooks_failing', '', 1),
    ('database_connections', '', round((18 + 6 * day * noise)::numeric))
) AS series (name, label, value)
ON CONFLICT DO NOTHING

-- name: growing
-- Every table has grown by a hundredth of its size a day.
INSERT INTO operations_samples (name, taken_at, label, value)
SELECT 'table_bytes', date_trunc('day', now(), 'UTC') - make_interval(days => day), relname, round(pg_total_relation_size(oid) * (1 - 0.01 * day))
FROM pg_class, generate_series(0, 13) AS day
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND NOT relispartition
ON CONFLICT DO NOTHING

-- name: maintained
-- Every task went through a few minutes ago.
INSERT INTO maintenance_runs (task, outcome, started_at, ended_at, created_at)
SELECT task, 'succeeded', now() - interval '7 minutes', now() - interval '7 minutes' + interval '340 milliseconds', now() - interval '7 minutes'
FROM unnest('{create-partitions,refresh-views,cleanup-old-data,cleanup-mail,archive-old-partitions}'::text[]) AS task

-- name: backed_up
-- Every night, and proven once a week.
INSERT INTO backups (name, size_bytes, sha256, created_at, verified_at)
SELECT to_char(at, '"full_backup_"YYYYMMDD_HH24MISS".dump"'), 734003200 - 5000000 * day, repeat('0', 64), at,
    CASE WHEN day % 7 = 3 THEN at + interval '20 minutes' END
FROM generate_series(0, 13) AS day, LATERAL (SELECT now() - interval '5 hours' - make_interval(days => day) AS at) AS made

-- name: going_wrong
-- For the last twenty minutes answers have failed and taken long, and attempts as well.
INSERT INTO operations_samples AS known (name, taken_at, label, value)
SELECT series.name, moment, series.label, series.value
FROM generate_series(date_trunc('minute', now()) - interval '20 minutes', date_trunc('minute', now()) - interval '1 minute', interval '1 minute') AS moment
CROSS JOIN LATERAL (VALUES
    ('failed_requests', 'POST /api/v1/integrations', 70), ('failed_requests', 'GET /api/v1/workflow-executions/<uuid:execution_id>', 45),
    ('slow_requests', 'GET /api/v1/events', 120), ('request_seconds', '', 800), ('attempts', 'failed', 900), ('attempts', 'exhausted', 20)
) AS series (name, label, value)
ON CONFLICT ON CONSTRAINT pk_operations_samples DO UPDATE SET value = EXCLUDED.value

-- name: queued
-- Mail that nobody sends.
INSERT INTO mail_messages (kind, recipient, run_after)
SELECT 'reset_password', 'a@example.org', now() - make_interval(mins => 3 * number) FROM generate_series(1, 60) AS number

-- name: failing
-- Webhooks that have failed for hours, and one that was switched off for it.
UPDATE webhooks SET failing_since = now() - interval '9 hours', failure_count = 41, last_failure_at = now(), last_success_at = now() - interval '9 hours'

-- name: switched_off
-- The oldest of them.
UPDATE webhooks SET is_active = false, disabled_at = now() - interval '1 day', disabled_reason = 'failing'
WHERE id = (SELECT id FROM webhooks ORDER BY created_at LIMIT 1)

-- name: unmaintained
-- One task fails, another has not gone through for days.
INSERT INTO maintenance_runs (task, outcome, started_at, ended_at, created_at, error_message)
VALUES ('create-partitions', 'failed', now() - interval '3 minutes', now() - interval '3 minutes' + interval '2 seconds', now() - interval '3 minutes',
        'The database did not answer in time: canceling statement due to lock timeout'),
    ('cleanup-old-data', 'succeeded', now() - interval '4 days', now() - interval '4 days', now() - interval '4 days', NULL)

-- name: unfinished_index
-- As a CREATE INDEX CONCURRENTLY leaves it that was interrupted.
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_integrations_unfinished'::regclass
