-- Maintenance: what the worker runs. Steps of partitions that need the owner are in partitions.sql.

-- name: create_next_partition :one
-- This month and the months ahead, one at a time so that locks are short.
SELECT create_next_partition(%(months_ahead)s) AS created

-- name: step :one
-- Of a task that the database does by itself.
SELECT maintenance_step(%(task)s, %(number)s, %(months_ahead)s) AS done

-- name: delete_expired :one
-- Retention, a batch at a time.
SELECT delete_expired(%(subject)s, %(keep)s::interval, %(batch)s, %(moment)s) AS row_count

-- name: cleanup_old_data :exec
-- Where nobody can detach months beside writers: in one transaction.
SELECT cleanup_old_data(%(keep_webhook_deliveries)s::interval, %(keep_integration_executions)s::interval,
    %(keep_sessions)s::interval, %(keep_audit_logs)s::interval)

-- name: archive_old_partitions :exec
-- The same for months of events.
SELECT archive_old_partitions(%(keep)s::interval)

-- name: clock :one
-- What is due goes by one clock, however many machines look.
SELECT clock_timestamp() AS moment

-- name: tasks_on_pg_cron :many
-- What the worker leaves alone.
SELECT task FROM tasks_on_pg_cron() AS task

-- name: is_waiting :one
-- Whether it is worth claiming.
SELECT maintenance_is_waiting(%(task)s, %(due_since)s) AS is_waiting

-- name: begin_run :one
-- One runner at a time: the connection's lock is the claim. NULL where it is not due, or another has it.
SELECT begin_maintenance(%(task)s, %(due_since)s, 'worker') AS run_id

-- name: end_run :exec
-- With what went wrong, if anything did.
SELECT end_maintenance(%(run_id)s, %(row_count)s, %(error_message)s)

-- What operators ask. The functions refuse whoever is none, and are the administrator's too, on the command line.

-- name: get :maybe operations:read
-- One run of a maintenance task.
SELECT * FROM maintenance_run_listings WHERE id = %(run_id)s

-- name: list :page
-- sort: created_at
-- sized: error_message
-- Runs of maintenance tasks: those that were asked for, and those that were due. Of no tenant, so read as one list.
SELECT * FROM maintenance_run_listings
WHERE (%(task)s::text IS NULL OR task = %(task)s)
  AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s)

-- name: recent_runs :many operations:read
-- Runs of the last three days, newest first: every task's last one is among them, unless it is late.
SELECT * FROM maintenance_run_listings WHERE created_at > CURRENT_TIMESTAMP - interval '3 days'
ORDER BY created_at DESC LIMIT 2000

-- name: expect :exec operations:read
-- Ahead of what has no function of its own to refuse strangers.
SELECT expect_operator('operations:read')

-- name: request :one operations:run
-- For the next runner to claim.
SELECT request_maintenance(%(task)s) AS id

-- name: maintenance_runs :many operations:read
-- What maintenance ran, and with what outcome: the newest hundred, for the command line.
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

-- name: failing_webhooks :many operations:read
-- Endpoints that fail, for longest first, then those that were switched off for it in the last seven days.
SELECT * FROM report_failing_webhooks()

-- name: running_queries :many operations:read
-- Transactions that are open, oldest first, with what each does or did last.
SELECT * FROM report_running_queries()

-- name: invalid_indexes :many operations:read
-- Indexes that were begun and never finished: they cost, and serve nobody.
SELECT * FROM report_invalid_indexes()

-- name: gauge_report :many operations:read
-- The numbers that /metrics tells of the database: queues, executions, partitions, backup, maintenance, replication.
SELECT * FROM report_gauges()

-- name: may_run :one operations:run
-- Whether the caller may have maintenance done.
SELECT operator_permits('operations:run') AS permitted

-- name: gauges :many
-- For /metrics.
SELECT gauge, label, value FROM operational_gauges()
UNION ALL
SELECT gauge, label, value FROM backup_gauges()
UNION ALL
SELECT gauge, label, value FROM activity_gauges()
