-- What operators watch and ask for: reports out of the catalogues, gauges for /metrics, maintenance on request, and
-- backups on record.

-- ===== Maintenance on request: a row that the next runner claims.

ALTER TABLE maintenance_runs ALTER COLUMN started_at DROP NOT NULL;
ALTER TABLE maintenance_runs ADD COLUMN created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP;
ALTER TABLE maintenance_runs ADD COLUMN requested_by UUID;
ALTER TABLE maintenance_runs NO FORCE ROW LEVEL SECURITY; -- which binds its owner too
UPDATE maintenance_runs SET created_at = started_at;
ALTER TABLE maintenance_runs FORCE ROW LEVEL SECURITY;
ALTER TABLE maintenance_runs ADD CONSTRAINT fk_maintenance_runs_users FOREIGN KEY (requested_by) REFERENCES users (id);
ALTER TABLE maintenance_runs DROP CONSTRAINT ck_maintenance_runs_outcome;
ALTER TABLE maintenance_runs ADD CONSTRAINT ck_maintenance_runs_outcome
    CHECK (outcome IN ('requested', 'running', 'succeeded', 'failed'));
ALTER TABLE maintenance_runs ADD CONSTRAINT ck_maintenance_runs_started CHECK (outcome = 'requested' OR started_at IS NOT NULL);
CREATE INDEX idx_maintenance_runs_created ON maintenance_runs (created_at, id);
CREATE INDEX idx_maintenance_runs_requested_by ON maintenance_runs (requested_by);
CREATE UNIQUE INDEX uq_maintenance_runs_requested ON maintenance_runs (task) WHERE outcome = 'requested';
GRANT INSERT, UPDATE ON maintenance_runs TO ccb_definer;
CREATE POLICY maintenance_runs_definer_insert ON maintenance_runs FOR INSERT TO ccb_definer WITH CHECK (outcome = 'requested');
CREATE POLICY maintenance_runs_definer_update ON maintenance_runs FOR UPDATE TO ccb_definer
    USING (outcome = 'requested') WITH CHECK (outcome = 'requested');

CREATE VIEW maintenance_run_listings WITH (security_barrier = true) AS
SELECT id, task, outcome, requested_by, created_at, started_at, ended_at, row_count, error_message,
    CASE outcome WHEN 'requested' THEN 1 WHEN 'running' THEN 2 ELSE 3 END AS version
FROM maintenance_runs
WHERE (SELECT operator_permits('operations:read') OR operator_permits('operations:run'));
GRANT SELECT ON maintenance_run_listings TO authenticated_users;
ALTER VIEW maintenance_run_listings OWNER TO ccb_definer;

-- ===== Backups that were made, so that their age can be watched without reading the folder they lie in.

CREATE TABLE backups (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    name VARCHAR(255) NOT NULL,
    size_bytes BIGINT NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    verified_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_backups PRIMARY KEY (id),
    CONSTRAINT uq_backups_name UNIQUE (name)
);
COMMENT ON COLUMN backups.verified_at IS 'When it was last restored elsewhere and found to be what was dumped.';
CREATE INDEX idx_backups_created ON backups (created_at);
ALTER TABLE backups ENABLE ROW LEVEL SECURITY;
ALTER TABLE backups FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON backups TO ccb_definer;
CREATE POLICY backups_definer ON backups FOR ALL TO ccb_definer USING (true) WITH CHECK (true);

-- ===== Who may ask. From here on functions, which PUBLIC may not execute.

SET LOCAL ROLE ccb_definer;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE FUNCTION expect_operator(permission text) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF NOT (operator_permits($1) OR pg_has_role(session_user, 'ccb_owner', 'MEMBER')) THEN
        RAISE EXCEPTION 'this needs the permission %', $1 USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;
COMMENT ON FUNCTION expect_operator(text) IS 'Refuses whoever is neither an operator with this permission nor logged in as the administrator.';
GRANT EXECUTE ON FUNCTION expect_operator(text) TO authenticated_users, ccb_owner, ccb_observer;

CREATE FUNCTION request_maintenance(task text) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    run_id uuid;
BEGIN
    PERFORM expect_operator('operations:run');
    INSERT INTO maintenance_runs (task, outcome, started_at, requested_by) VALUES ($1, 'requested', NULL, current_user_id())
    ON CONFLICT (task) WHERE outcome = 'requested' DO UPDATE SET task = EXCLUDED.task
    RETURNING id INTO run_id;
    PERFORM record_audit('maintenance_run.requested', 'maintenance_run', run_id::text, NULL,
        jsonb_build_object('outcome', 'allowed', 'task', $1));
    RETURN run_id;
END
$$;
COMMENT ON FUNCTION request_maintenance(text) IS 'Has the next runner do a task now; one that is asked for twice while it waits is one.';
GRANT EXECUTE ON FUNCTION request_maintenance(text) TO authenticated_users, ccb_owner;

CREATE FUNCTION report_maintenance_runs() RETURNS TABLE (
        task text, outcome text, created_at timestamptz, started_at timestamptz, ended_at timestamptz, error_message text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM expect_operator('operations:read');
    RETURN QUERY
    SELECT run.task::text, run.outcome::text, run.created_at, run.started_at, run.ended_at, run.error_message
    FROM maintenance_runs AS run ORDER BY run.created_at DESC, run.id LIMIT 100;
END
$$;
COMMENT ON FUNCTION report_maintenance_runs() IS 'For the command line; over the API they are a list with pages.';
GRANT EXECUTE ON FUNCTION report_maintenance_runs() TO ccb_owner;

CREATE FUNCTION record_backup(name text, size_bytes bigint, sha256 text, is_verified boolean) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM expect_operator('operations:run');
    INSERT INTO backups AS known (name, size_bytes, sha256) VALUES ($1, $2, $3) ON CONFLICT ON CONSTRAINT uq_backups_name DO NOTHING;
    IF is_verified THEN
        UPDATE backups SET verified_at = clock_timestamp() WHERE backups.name = $1;
    END IF;
END
$$;
COMMENT ON FUNCTION record_backup(text, bigint, text, boolean) IS 'Called from the command line, by whoever makes a backup or has restored one elsewhere.';
GRANT EXECUTE ON FUNCTION record_backup(text, bigint, text, boolean) TO ccb_owner;

CREATE FUNCTION report_backups() RETURNS TABLE (
        name text, size_bytes bigint, size text, sha256 text, created_at timestamptz, verified_at timestamptz)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM expect_operator('operations:read');
    RETURN QUERY
    SELECT made.name::text, made.size_bytes, pg_size_pretty(made.size_bytes), made.sha256::text, made.created_at, made.verified_at
    FROM backups AS made ORDER BY made.created_at DESC LIMIT 100;
END
$$;
GRANT EXECUTE ON FUNCTION report_backups() TO authenticated_users, ccb_owner;

-- ===== Reports out of the catalogues. They belong to a role of their own, which sees everybody's activity (where the
-- administrator could give it pg_read_all_stats) and no row of any table.

ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
SET LOCAL ROLE ccb_observer;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE FUNCTION observation() RETURNS TABLE (
        sees_everybody boolean, has_statement_statistics boolean, statistics_since timestamptz, is_standby boolean,
        connections integer, max_connections integer)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM expect_operator('operations:read');
    RETURN QUERY SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
        current_setting('pg_stat_statements.max', true) IS NOT NULL AND to_regclass('pg_stat_statements') IS NOT NULL,
        (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()),
        pg_is_in_recovery(),
        (SELECT sum(numbackends)::integer FROM pg_stat_database),
        current_setting('max_connections')::integer;
END
$$;
COMMENT ON FUNCTION observation() IS 'What the reports can see here, and since when.';

CREATE FUNCTION report_table_sizes() RETURNS TABLE (
        schema_name text, table_name text, total_bytes bigint, table_bytes bigint, index_bytes bigint, size text,
        table_size text, index_size text, partitions bigint, row_estimate bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM expect_operator('operations:read');
    RETURN QUERY
    SELECT measured.schema_name, measured.table_name, measured.total_bytes, measured.table_bytes, measured.index_bytes,
        pg_size_pretty(measured.total_bytes), pg_size_pretty(measured.table_bytes), pg_size_pretty(measured.index_bytes),
        measured.partitions, measured.row_estimate
    FROM (
        SELECT relation.schema_name, relation.table_name,
            coalesce(sum(pg_total_relation_size(part.relid)), 0)::bigint AS total_bytes,
            coalesce(sum(pg_table_size(part.relid)), 0)::bigint AS table_bytes,
            coalesce(sum(pg_indexes_size(part.relid)), 0)::bigint AS index_bytes,
            count(part.relid) FILTER (WHERE part.relid <> relation.id) AS partitions,
            coalesce(sum(greatest(pg_class.reltuples, 0)) FILTER (WHERE pg_class.relkind <> 'p'), 0)::bigint AS row_estimate
        FROM (
            SELECT pg_class.oid AS id, nspname::text AS schema_name, relname::text AS table_name
            FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
            WHERE nspname IN ('public', 'archive') AND relkind IN ('r', 'p', 'm') AND NOT relispartition
        ) AS relation
        CROSS JOIN LATERAL (
            SELECT tree.relid::oid FROM pg_partition_tree(relation.id) AS tree UNION SELECT relation.id
        ) AS part
        JOIN pg_class ON pg_class.oid = part.relid
        GROUP BY relation.id, relation.schema_name, relation.table_name
    ) AS measured
    ORDER BY measured.total_bytes DESC, measured.schema_name, measured.table_name;
END
$$;

CREATE FUNCTION report_slow_queries() RETURNS TABLE (
        query text, calls bigint, total_time double precision, mean_time double precision, row_count bigint, hit_percent numeric)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF NOT (SELECT observation.has_statement_statistics FROM observation()) THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT seen.query, seen.calls, seen.total_exec_time, seen.mean_exec_time, seen.rows,
        round(100.0 * seen.shared_blks_hit / nullif(seen.shared_blks_hit + seen.shared_blks_read, 0), 2)
    FROM pg_stat_statements AS seen
    WHERE seen.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    ORDER BY seen.total_exec_time DESC
    LIMIT 20;
END
$$;

CREATE FUNCTION report_unused_indexes() RETURNS TABLE (
        schema_name text, table_name text, index_name text, idx_scan bigint, idx_tup_read bigint, idx_tup_fetch bigint,
        bytes bigint, size text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM expect_operator('operations:read');
    RETURN QUERY
    SELECT named.relnamespace::regnamespace::text, indexed.relname::text, named.relname::text, 0::bigint,
        whole.tup_read, whole.tup_fetch, whole.bytes, pg_size_pretty(whole.bytes)
    FROM (
        -- of an index over partitions all parts count
        SELECT coalesce(pg_partition_root(usage.indexrelid), usage.indexrelid)::oid AS id,
            sum(usage.idx_tup_read)::bigint AS tup_read, sum(usage.idx_tup_fetch)::bigint AS tup_fetch,
            sum(pg_relation_size(usage.indexrelid))::bigint AS bytes
        FROM pg_stat_user_indexes AS usage
        GROUP BY 1
        HAVING sum(usage.idx_scan) = 0
    ) AS whole
    JOIN pg_class AS named ON named.oid = whole.id
    JOIN pg_index AS index ON index.indexrelid = whole.id
    JOIN pg_class AS indexed ON indexed.oid = index.indrelid
    WHERE NOT index.indisunique AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = whole.id)
    ORDER BY 7 DESC, 1, 2, 3
    LIMIT 500;
END
$$;

CREATE FUNCTION report_duplicate_indexes() RETURNS TABLE (table_name text, index_name text, covered_by text, bytes bigint, size text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM expect_operator('operations:read');
    RETURN QUERY
    WITH indexes AS (
        SELECT indexrelid, indrelid, indisunique, string_to_array(indkey::text, ' ') AS columns,
            string_to_array(indclass::text, ' ') AS classes, named.relam, named.relname,
            coalesce(pg_get_expr(indpred, indrelid), '') AS predicate,
            coalesce(pg_get_expr(indexprs, indrelid), '') AS expressions, indnatts AS width
        FROM pg_index
        JOIN pg_class AS named ON named.oid = indexrelid
        JOIN pg_class AS relation ON relation.oid = indrelid
        WHERE named.relnamespace = 'public'::regnamespace AND NOT relation.relispartition
    )
    SELECT shorter.indrelid::regclass::text, shorter.relname::text, longer.relname::text, pg_relation_size(shorter.indexrelid),
        pg_size_pretty(pg_relation_size(shorter.indexrelid))
    FROM indexes AS shorter
    JOIN indexes AS longer ON longer.indrelid = shorter.indrelid AND longer.indexrelid <> shorter.indexrelid
        AND longer.relam = shorter.relam AND longer.predicate = shorter.predicate
    WHERE CASE
        WHEN shorter.width = longer.width
            THEN (shorter.columns, shorter.expressions, shorter.classes) = (longer.columns, longer.expressions, longer.classes)
                AND (shorter.indisunique < longer.indisunique
                    OR shorter.indisunique = longer.indisunique AND shorter.indexrelid > longer.indexrelid)
        ELSE NOT shorter.indisunique AND shorter.width < longer.width
            AND shorter.expressions = '' AND longer.expressions = ''
            AND (SELECT amname FROM pg_am WHERE oid = shorter.relam) = 'btree'
            AND longer.columns[1:shorter.width] = shorter.columns
            AND longer.classes[1:shorter.width] = shorter.classes
    END
    ORDER BY 4 DESC, 1, 2, 3;
END
$$;

CREATE FUNCTION report_missing_indexes() RETURNS TABLE (
        schema_name text, table_name text, sequential_scans bigint, rows_read bigint, index_scans bigint,
        index_percent numeric, row_estimate bigint, bytes bigint, size text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM expect_operator('operations:read');
    RETURN QUERY
    SELECT usage.schemaname::text, usage.relname::text, usage.seq_scan, usage.seq_tup_read, coalesce(usage.idx_scan, 0),
        round(100.0 * coalesce(usage.idx_scan, 0) / nullif(usage.seq_scan + coalesce(usage.idx_scan, 0), 0), 2),
        usage.n_live_tup, pg_table_size(usage.relid), pg_size_pretty(pg_table_size(usage.relid))
    FROM pg_stat_user_tables AS usage
    WHERE usage.n_live_tup >= 10000 AND usage.seq_scan > 0
      AND coalesce(usage.idx_scan, 0) < 19 * usage.seq_scan -- less than 95 of a hundred by an index
    ORDER BY usage.seq_tup_read DESC, 1, 2
    LIMIT 100;
END
$$;

CREATE FUNCTION report_connections() RETURNS TABLE (
        user_name text, application_name text, state text, wait_event text, connections bigint, oldest_seconds double precision)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM expect_operator('operations:read');
    RETURN QUERY
    SELECT activity.usename::text, activity.application_name, activity.state,
        activity.wait_event_type || ': ' || activity.wait_event, count(*),
        extract(epoch FROM clock_timestamp() - min(activity.state_change))::double precision
    FROM pg_stat_activity AS activity
    WHERE activity.datname = current_database() AND activity.pid <> pg_backend_pid()
    GROUP BY 1, 2, 3, 4
    ORDER BY 5 DESC, 1, 2, 3, 4;
END
$$;

CREATE FUNCTION report_locks() RETURNS TABLE (
        pid integer, user_name text, waits_for text, mode text, waiting_seconds double precision, query text,
        blocked_by integer[], blocking_query text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM expect_operator('operations:read');
    RETURN QUERY
    SELECT lock.pid, activity.usename::text, coalesce(lock.relation::regclass::text, lock.locktype), lock.mode,
        extract(epoch FROM clock_timestamp() - coalesce(lock.waitstart, activity.state_change))::double precision,
        left(activity.query, 1000), pg_blocking_pids(lock.pid),
        (SELECT left(blocking.query, 1000) FROM pg_stat_activity AS blocking
            WHERE blocking.pid = ANY (pg_blocking_pids(lock.pid)) ORDER BY blocking.xact_start LIMIT 1)
    FROM pg_locks AS lock
    JOIN pg_stat_activity AS activity ON activity.pid = lock.pid
    WHERE NOT lock.granted AND activity.datname = current_database()
    ORDER BY 5 DESC NULLS LAST, 1;
END
$$;

CREATE FUNCTION report_cache_hit_rate() RETURNS TABLE (kind text, name text, blocks_hit bigint, blocks_read bigint, hit_percent numeric)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM expect_operator('operations:read');
    RETURN QUERY
    WITH counted AS (
        SELECT 'tables' AS kind, 'all' AS name, sum(heap_blks_hit)::bigint AS hit, sum(heap_blks_read)::bigint AS read
        FROM pg_statio_user_tables
        UNION ALL
        SELECT 'indexes', 'all', sum(idx_blks_hit)::bigint, sum(idx_blks_read)::bigint FROM pg_statio_user_indexes
        UNION ALL
        (SELECT 'table', relname::text, heap_blks_hit, heap_blks_read FROM pg_statio_user_tables
            WHERE heap_blks_read > 0 ORDER BY heap_blks_read DESC, relname LIMIT 20)
    )
    SELECT counted.kind, counted.name, coalesce(counted.hit, 0), coalesce(counted.read, 0),
        round(100.0 * counted.hit / nullif(counted.hit + counted.read, 0), 2)
    FROM counted;
END
$$;

CREATE FUNCTION report_bloat() RETURNS TABLE (
        schema_name text, table_name text, live_rows bigint, dead_rows bigint, dead_percent numeric, bytes bigint, size text,
        last_vacuum timestamptz, last_analyze timestamptz)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM expect_operator('operations:read');
    RETURN QUERY
    SELECT usage.schemaname::text, usage.relname::text, usage.n_live_tup, usage.n_dead_tup,
        round(100.0 * usage.n_dead_tup / nullif(usage.n_live_tup + usage.n_dead_tup, 0), 2),
        pg_table_size(usage.relid), pg_size_pretty(pg_table_size(usage.relid)),
        greatest(usage.last_vacuum, usage.last_autovacuum), greatest(usage.last_analyze, usage.last_autoanalyze)
    FROM pg_stat_user_tables AS usage
    WHERE usage.n_dead_tup > 0
    ORDER BY usage.n_dead_tup DESC, 1, 2
    LIMIT 100;
END
$$;

CREATE FUNCTION report_transaction_id_age() RETURNS TABLE (
        kind text, name text, age bigint, freeze_percent numeric, wraparound_percent numeric)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM expect_operator('operations:read');
    RETURN QUERY
    WITH ages AS (
        SELECT 'database' AS kind, datname::text AS name, age(datfrozenxid)::bigint AS age FROM pg_database
        UNION ALL
        (SELECT 'table', pg_class.oid::regclass::text, age(relfrozenxid)::bigint FROM pg_class
            WHERE relkind IN ('r', 'm', 't') AND relfrozenxid <> '0' ORDER BY 3 DESC, 2 LIMIT 20)
    )
    SELECT ages.kind, ages.name, ages.age,
        round(100.0 * ages.age / current_setting('autovacuum_freeze_max_age')::bigint, 2), round(100.0 * ages.age / 2147483648, 2)
    FROM ages ORDER BY ages.kind, ages.age DESC, ages.name;
END
$$;

CREATE FUNCTION replication_lags() RETURNS TABLE (
        kind text, name text, state text, sync_state text, lag_bytes bigint, lag_seconds double precision)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    here pg_lsn := CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END;
BEGIN
    RETURN QUERY
    SELECT 'standby', standby.application_name, standby.state, standby.sync_state,
        pg_wal_lsn_diff(here, standby.replay_lsn)::bigint, extract(epoch FROM standby.replay_lag)::double precision
    FROM pg_stat_replication AS standby
    UNION ALL
    SELECT 'slot', slot.slot_name::text, CASE WHEN slot.active THEN 'active' ELSE 'inactive' END, NULL,
        pg_wal_lsn_diff(here, slot.restart_lsn)::bigint, NULL
    FROM pg_replication_slots AS slot
    UNION ALL
    -- of a primary that is idle nothing comes, which is no lag
    SELECT 'this standby', current_setting('cluster_name'), 'recovery', NULL,
        pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::bigint,
        CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
            ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END::double precision
    WHERE pg_is_in_recovery();
END
$$;
GRANT EXECUTE ON FUNCTION replication_lags() TO ccb_definer;

CREATE FUNCTION report_replication() RETURNS TABLE (
        kind text, name text, state text, sync_state text, lag_bytes bigint, lag_seconds double precision)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM expect_operator('operations:read');
    RETURN QUERY SELECT * FROM replication_lags() AS lag ORDER BY lag.kind DESC, lag.name;
END
$$;

CREATE FUNCTION partition_horizons() RETURNS TABLE (
        table_name text, partitions bigint, oldest_month timestamptz, covered_until timestamptz, months_ahead double precision)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
    SET timezone = 'UTC'
AS $$
BEGIN
    RETURN QUERY
    WITH ranges AS (
        SELECT pg_class.relname::text AS parent, month.lower_bound, month.upper_bound
        FROM pg_partitioned_table
        JOIN pg_class ON pg_class.oid = partrelid
        LEFT JOIN LATERAL partition_ranges(partrelid) AS month ON month.is_month
        WHERE relnamespace = 'public'::regnamespace
    ), covered AS (
        -- the end of the months that follow one another without a gap from this one on
        SELECT parent, count(lower_bound) AS months, min(lower_bound) AS oldest, CASE
            WHEN bool_or(lower_bound <= CURRENT_TIMESTAMP AND upper_bound > CURRENT_TIMESTAMP) THEN (
                SELECT min(last.upper_bound) FROM ranges AS last
                WHERE last.parent = ranges.parent AND last.upper_bound > CURRENT_TIMESTAMP
                  AND NOT EXISTS (SELECT FROM ranges AS next WHERE next.parent = last.parent AND next.lower_bound = last.upper_bound))
            ELSE CURRENT_TIMESTAMP END AS until
        FROM ranges GROUP BY parent
    )
    SELECT covered.parent, covered.months, covered.oldest, covered.until,
        (extract(epoch FROM covered.until - CURRENT_TIMESTAMP) / 86400 / 30.4375)::double precision
    FROM covered;
END
$$;
COMMENT ON FUNCTION partition_horizons() IS 'How far ahead months have partitions of their own; beyond that rows fall into fillers.';
GRANT EXECUTE ON FUNCTION partition_horizons() TO ccb_definer;

CREATE FUNCTION report_partitions() RETURNS TABLE (
        table_name text, partitions bigint, oldest_month timestamptz, covered_until timestamptz, months_ahead double precision)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM expect_operator('operations:read');
    RETURN QUERY SELECT * FROM partition_horizons() AS horizon ORDER BY horizon.months_ahead, horizon.table_name;
END
$$;

GRANT EXECUTE ON FUNCTION observation(), report_table_sizes(), report_slow_queries(), report_unused_indexes(),
    report_duplicate_indexes(), report_missing_indexes(), report_connections(), report_locks(), report_cache_hit_rate(),
    report_bloat(), report_transaction_id_age(), report_replication(), report_partitions() TO authenticated_users, ccb_owner;

-- ===== Gauges for /metrics, all in one statement.

ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
SET LOCAL ROLE ccb_definer;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE FUNCTION operational_gauges() RETURNS TABLE (gauge text, label text, value double precision)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
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
    FROM backups HAVING count(*) > 0
    UNION ALL
    SELECT 'maintenance_age_seconds', tasks.task, extract(epoch FROM clock_timestamp() - last.ended_at)::double precision
    FROM tasks CROSS JOIN LATERAL (
        SELECT runs.ended_at FROM maintenance_runs AS runs
        WHERE runs.task = tasks.task AND runs.outcome = 'succeeded' ORDER BY runs.started_at DESC LIMIT 1
    ) AS last
    UNION ALL
    SELECT 'maintenance_failing', tasks.task, (last.outcome = 'failed')::integer::double precision
    FROM tasks CROSS JOIN LATERAL (
        SELECT runs.outcome FROM maintenance_runs AS runs
        WHERE runs.task = tasks.task AND runs.outcome IN ('succeeded', 'failed') ORDER BY runs.started_at DESC LIMIT 1
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
COMMENT ON FUNCTION operational_gauges() IS 'What /metrics tells of the database: numbers only, of no tenant in particular.';
GRANT EXECUTE ON FUNCTION operational_gauges() TO ccb_service;

ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
SET LOCAL ROLE ccb_owner;
