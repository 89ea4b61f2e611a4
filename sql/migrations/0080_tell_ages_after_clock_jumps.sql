-- A clock that ran ahead and was set back left backups, drills and refreshed views of a time to come: an age below zero would
-- keep every alert quiet until that time has come.

SET LOCAL ROLE ccb_definer;

CREATE OR REPLACE FUNCTION views_refreshed_at()
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN (SELECT max(started_at) FROM maintenance_runs
        WHERE task = 'refresh-views' AND outcome = 'succeeded' AND started_at <= CURRENT_TIMESTAMP);
END
$$;

CREATE OR REPLACE FUNCTION backup_gauges()
 RETURNS TABLE(gauge text, label text, value double precision)
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT 'last_backup_age_seconds', made.kind::text,
        extract(epoch FROM clock_timestamp() - max(made.created_at))::double precision
    FROM backups AS made WHERE made.created_at <= clock_timestamp() GROUP BY made.kind
    UNION ALL
    SELECT 'last_drill_age_seconds', made.kind::text,
        extract(epoch FROM clock_timestamp() - max(made.verified_at))::double precision
    FROM backups AS made WHERE made.verified_at <= clock_timestamp() GROUP BY made.kind
    UNION ALL
    SELECT 'wal_archiving_failing', NULL, (archiver.last_failed_time > coalesce(archiver.last_archived_time, '-infinity'))
        ::integer::double precision
    FROM pg_stat_archiver AS archiver WHERE current_setting('archive_mode') <> 'off' AND archiver.last_failed_time IS NOT NULL
    UNION ALL
    SELECT 'wal_archiving_age_seconds', NULL,
        greatest(extract(epoch FROM clock_timestamp() - archiver.last_archived_time), 0)::double precision
    FROM pg_stat_archiver AS archiver WHERE current_setting('archive_mode') <> 'off' AND archiver.last_archived_time IS NOT NULL;
END
$$;

CREATE OR REPLACE FUNCTION operational_gauges()
 RETURNS TABLE(gauge text, label text, value double precision)
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN QUERY
    WITH RECURSIVE queues (name, depth, oldest) AS (
        SELECT 'deliveries', due, oldest FROM delivery_queue()
        UNION ALL
        SELECT 'executions', count(*), extract(epoch FROM clock_timestamp() - min(created_at)) FROM (
            SELECT created_at FROM workflow_executions
            WHERE status IN ('pending', 'running') AND status = 'pending' -- the first as the index has it
            LIMIT 1000000
        ) AS waiting
        UNION ALL
        SELECT 'mail', count(*), extract(epoch FROM clock_timestamp() - min(run_after)) FROM (
            SELECT run_after FROM mail_messages WHERE status = 'pending' AND run_after <= clock_timestamp() LIMIT 1000000
        ) AS waiting
        UNION ALL
        SELECT 'health_checks', count(*), extract(epoch FROM clock_timestamp() - min(run_after)) FROM (
            SELECT run_after FROM integration_health_checks WHERE status = 'pending' AND run_after <= clock_timestamp() LIMIT 1000000
        ) AS waiting
    ), tasks (task) AS (
        (SELECT runs.task FROM maintenance_runs AS runs ORDER BY runs.task LIMIT 1)
        UNION ALL
        SELECT (SELECT runs.task FROM maintenance_runs AS runs WHERE runs.task > tasks.task ORDER BY runs.task LIMIT 1)
        FROM tasks WHERE tasks.task IS NOT NULL
    )
    SELECT 'queue_depth', name, depth::double precision FROM queues
    UNION ALL
    SELECT 'queue_oldest_seconds', name, coalesce(oldest, 0)::double precision FROM queues
    UNION ALL
    SELECT 'partitions_ahead_months', NULL, min(months_ahead) FROM partition_horizons()
    UNION ALL
    SELECT 'backup_age_seconds', NULL, extract(epoch FROM clock_timestamp() - max(created_at))::double precision
    FROM backups WHERE created_at <= clock_timestamp() HAVING count(*) > 0
    UNION ALL
    SELECT 'maintenance_age_seconds', tasks.task, extract(epoch FROM clock_timestamp() - last.ended_at)::double precision
    FROM tasks CROSS JOIN LATERAL (
        SELECT runs.ended_at FROM maintenance_runs AS runs
        WHERE runs.task = tasks.task AND runs.outcome = 'succeeded' AND runs.started_at <= clock_timestamp()
        ORDER BY runs.started_at DESC LIMIT 1
    ) AS last
    UNION ALL
    SELECT 'maintenance_failing', tasks.task, (last.outcome = 'failed')::integer::double precision
    FROM tasks CROSS JOIN LATERAL (
        SELECT runs.outcome FROM maintenance_runs AS runs
        WHERE runs.task = tasks.task AND runs.outcome IN ('succeeded', 'failed')
            AND runs.started_at <= clock_timestamp()
        ORDER BY runs.started_at DESC LIMIT 1
    ) AS last
    UNION ALL
    SELECT 'replication_lag_bytes', lag.name, max(lag.lag_bytes)::double precision
    FROM replication_lags() AS lag WHERE lag.kind <> 'slot' AND lag.lag_bytes IS NOT NULL GROUP BY lag.name
    UNION ALL
    SELECT 'replication_lag_seconds', lag.name, max(coalesce(lag.lag_seconds, 0))
    FROM replication_lags() AS lag WHERE lag.kind <> 'slot' GROUP BY lag.name
    UNION ALL
    SELECT 'replication_slot_retained_bytes', lag.name, lag.lag_bytes::double precision
    FROM replication_lags() AS lag WHERE lag.kind = 'slot' AND lag.lag_bytes IS NOT NULL;
END
$$;

SET LOCAL ROLE ccb_owner;
