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

-- name: table_sizes :many
-- The document's sizes, partitioned tables with all their partitions; whole tables first. Sizes in bytes.
SELECT relation.schema_name, relation.table_name,
    coalesce(sum(pg_total_relation_size(part.relid)), 0)::bigint AS total_bytes,
    coalesce(sum(pg_table_size(part.relid)), 0)::bigint AS table_bytes,
    coalesce(sum(pg_indexes_size(part.relid)), 0)::bigint AS index_bytes,
    pg_size_pretty(coalesce(sum(pg_total_relation_size(part.relid)), 0)) AS size,
    pg_size_pretty(coalesce(sum(pg_table_size(part.relid)), 0)) AS table_size,
    pg_size_pretty(coalesce(sum(pg_indexes_size(part.relid)), 0)) AS index_size,
    count(part.relid) FILTER (WHERE part.relid <> relation.id) AS partitions
FROM (
    SELECT pg_class.oid AS id, nspname::text AS schema_name, relname::text AS table_name
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname IN ('public', 'archive') AND relkind IN ('r', 'p', 'm') AND NOT relispartition
) AS relation
CROSS JOIN LATERAL (
    SELECT relid::oid FROM pg_partition_tree(relation.id) UNION SELECT relation.id
) AS part
GROUP BY relation.id, relation.schema_name, relation.table_name
ORDER BY total_bytes DESC, relation.schema_name, relation.table_name

-- name: unused_indexes :many
-- Indexes that nothing has read since the statistics began, largest first. Those that hold a constraint stay anyway.
SELECT usage.schemaname::text AS schema_name, usage.relname::text AS table_name, usage.indexrelname::text AS index_name,
    usage.idx_scan, usage.idx_tup_read, usage.idx_tup_fetch, pg_relation_size(usage.indexrelid) AS bytes,
    pg_size_pretty(pg_relation_size(usage.indexrelid)) AS size
FROM pg_stat_user_indexes AS usage
JOIN pg_index AS index ON index.indexrelid = usage.indexrelid
WHERE usage.idx_scan = 0 AND NOT index.indisunique
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = usage.indexrelid)
ORDER BY bytes DESC, schema_name, table_name, index_name

-- name: has_statement_statistics :one
-- Whether pg_stat_statements is there, loaded and readable: where it is not, slow_queries would fail.
SELECT current_setting('pg_stat_statements.max', true) IS NOT NULL AND EXISTS (
    SELECT FROM pg_extension JOIN pg_class ON relnamespace = extnamespace AND relname = 'pg_stat_statements'
    WHERE extname = 'pg_stat_statements' AND pg_table_is_visible(pg_class.oid) AND has_table_privilege(pg_class.oid, 'SELECT')
) AS is_available

-- name: slow_queries :many
-- The twenty statements that took the most time in all; times in milliseconds. Needs pg_stat_statements.
SELECT query, calls, total_exec_time AS total_time, mean_exec_time AS mean_time, rows,
    100.0 * shared_blks_hit / nullif(shared_blks_hit + shared_blks_read, 0) AS hit_percent
FROM pg_stat_statements
ORDER BY total_exec_time DESC
LIMIT 20
