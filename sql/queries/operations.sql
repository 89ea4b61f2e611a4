-- Maintenance: each procedure callable once, by the command line, the worker or pg_cron.

-- name: create_partitions :one
-- This month and the months ahead, so that rows find their partition.
SELECT create_partitions() AS created

-- name: cleanup_old_data :exec
-- Retention, with the document's limits.
SELECT cleanup_old_data()

-- name: cleanup_mail :exec
-- What was sent or given up a week ago.
SELECT cleanup_mail()

-- name: refresh_materialized_views :exec
-- Statistics, every quarter of an hour.
SELECT refresh_materialized_views()

-- name: archive_old_partitions :exec
-- Months of events that ended a year ago.
SELECT archive_old_partitions()

-- name: attach_archived_partition :exec
-- Brings one back.
SELECT attach_archived_partition(%(name)s)

-- name: begin_run :maybe
-- One runner at a time: the row is the claim. What was asked for comes first; otherwise a run is due when its period is
-- over, when it failed, or when nobody ended it within an hour.
WITH free AS (
    SELECT FROM (SELECT pg_try_advisory_xact_lock(hashtextextended('maintenance ' || %(task)s, 0)) AS is_mine) AS lock
    WHERE is_mine AND NOT EXISTS (
        SELECT FROM maintenance_runs
        WHERE task = %(task)s AND outcome = 'running' AND started_at > CURRENT_TIMESTAMP - interval '1 hour'
    )
), asked AS (
    UPDATE maintenance_runs SET outcome = 'running', started_at = CURRENT_TIMESTAMP
    WHERE task = %(task)s AND outcome = 'requested' AND EXISTS (SELECT FROM free)
    RETURNING id
), due AS (
    INSERT INTO maintenance_runs (task)
    SELECT %(task)s::text FROM free
    WHERE NOT EXISTS (SELECT FROM asked) AND NOT EXISTS (
        SELECT FROM maintenance_runs
        WHERE task = %(task)s AND (
            outcome = 'succeeded' AND started_at > CURRENT_TIMESTAMP - %(every)s::interval
            OR outcome = 'failed' AND ended_at > CURRENT_TIMESTAMP - least(%(every)s::interval, interval '1 minute')
        )
    )
    RETURNING id
)
SELECT id FROM asked UNION ALL SELECT id FROM due

-- name: end_run :exec
-- With what went wrong, if anything did.
UPDATE maintenance_runs SET ended_at = clock_timestamp(), error_message = %(error_message)s,
    outcome = CASE WHEN %(error_message)s::text IS NULL THEN 'succeeded' ELSE 'failed' END
WHERE id = %(run_id)s

-- What operators ask. The functions refuse whoever is none, and are the administrator's too, on the command line.

-- name: get :maybe operations:read
-- One run of a maintenance task.
SELECT * FROM maintenance_run_listings WHERE id = %(run_id)s

-- name: list :page
-- sort: created_at
-- Runs of maintenance tasks: those that were asked for, and those that were due. Of no tenant, so read as one list.
SELECT * FROM maintenance_run_listings
WHERE (%(task)s::text IS NULL OR task = %(task)s)
  AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s)

-- name: expect :exec operations:read
-- Ahead of what has no function of its own to refuse strangers.
SELECT expect_operator('operations:read')

-- name: request :one operations:run
-- For the next runner to claim.
SELECT request_maintenance(%(task)s) AS id

-- name: maintenance_runs :many operations:read
-- For the command line: the newest hundred.
SELECT * FROM report_maintenance_runs()

-- name: observation :one operations:read
-- What the reports can see here.
SELECT * FROM observation()

-- name: table_sizes :many operations:read
-- The document's sizes, partitioned tables with all their partitions; whole tables first. Sizes in bytes.
SELECT * FROM report_table_sizes()

-- name: slow_queries :many operations:read
-- The twenty statements that took the most time in all, in milliseconds; none without pg_stat_statements.
SELECT * FROM report_slow_queries()

-- name: unused_indexes :many operations:read
-- Indexes that nothing has read since the statistics began, largest first. Those that hold a constraint stay anyway.
SELECT * FROM report_unused_indexes()

-- name: duplicate_indexes :many operations:read
-- Indexes that another one can stand in for.
SELECT * FROM report_duplicate_indexes()

-- name: missing_indexes :many operations:read
-- Larger tables that are often read from end to end.
SELECT * FROM report_missing_indexes()

-- name: connections :many operations:read
-- Who is connected to this database, and doing what.
SELECT * FROM report_connections()

-- name: locks :many operations:read
-- Who waits for a lock, and who holds it.
SELECT * FROM report_locks()

-- name: cache_hit_rate :many operations:read
-- How often a block was in memory already; the tables that were read from elsewhere most.
SELECT * FROM report_cache_hit_rate()

-- name: bloat :many operations:read
-- Rows that are dead and not yet cleared away.
SELECT * FROM report_bloat()

-- name: transaction_id_age :many operations:read
-- How near databases and tables are to where transaction ids run out.
SELECT * FROM report_transaction_id_age()

-- name: replication :many operations:read
-- Standbys, replication slots, and how far behind they are.
SELECT * FROM report_replication()

-- name: partitions :many operations:read
-- How far ahead months have partitions of their own.
SELECT * FROM report_partitions()

-- name: backups :many operations:read
-- The newest hundred that were made.
SELECT * FROM report_backups()

-- name: gauges :many
-- For /metrics.
SELECT gauge, label, value FROM operational_gauges()
