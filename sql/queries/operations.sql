-- Maintenance: each procedure callable once, by the command line, the worker or pg_cron.

-- name: create_partitions :one
-- This month and the months ahead, so that rows find their partition.
SELECT create_partitions() AS created

-- name: cleanup_old_data :exec
-- Retention, with the document's limits.
SELECT cleanup_old_data()

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
-- One runner at a time: the row is the claim. A run that failed, or that nobody ended within an hour, is due again.
INSERT INTO maintenance_runs (task)
SELECT %(task)s::text
WHERE pg_try_advisory_xact_lock(hashtextextended('maintenance ' || %(task)s, 0))
  AND NOT EXISTS (
      SELECT FROM maintenance_runs
      WHERE task = %(task)s AND (
          outcome = 'succeeded' AND started_at > CURRENT_TIMESTAMP - %(every)s::interval
          OR outcome = 'running' AND started_at > CURRENT_TIMESTAMP - interval '1 hour'
          OR outcome = 'failed' AND ended_at > CURRENT_TIMESTAMP - least(%(every)s::interval, interval '1 minute')
      )
  )
RETURNING id

-- name: end_run :exec
-- With what went wrong, if anything did.
UPDATE maintenance_runs SET ended_at = clock_timestamp(), error_message = %(error_message)s,
    outcome = CASE WHEN %(error_message)s::text IS NULL THEN 'succeeded' ELSE 'failed' END
WHERE id = %(run_id)s
