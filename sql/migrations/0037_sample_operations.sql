-- What operators see at a glance: samples over time, endpoints that fail, statements that run for long, and gauges of
-- what is done rather than of what waits.

-- ===== Samples. Counts add up over time (requests); levels do not (what waits).

CREATE TABLE operations_samples (
    name VARCHAR(50) NOT NULL,
    taken_at TIMESTAMP WITH TIME ZONE NOT NULL,
    label VARCHAR(200) NOT NULL DEFAULT '',
    value DOUBLE PRECISION NOT NULL,
    CONSTRAINT pk_operations_samples PRIMARY KEY (name, taken_at, label),
    CONSTRAINT ck_operations_samples_value CHECK (value >= 0 AND value < 'Infinity')
);
COMMENT ON TABLE operations_samples IS 'By the minute for two days, then thinned; kept for two weeks, sizes of tables for ninety days.';
ALTER TABLE operations_samples ENABLE ROW LEVEL SECURITY;
ALTER TABLE operations_samples FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON operations_samples TO ccb_definer;
CREATE POLICY operations_samples_definer ON operations_samples FOR ALL TO ccb_definer USING (true) WITH CHECK (true);

CREATE FUNCTION sample_adds_up(name text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE -- without settings of its own, so that it is part of the statement that calls it
RETURN name IN ('requests', 'failed_requests', 'slow_requests', 'request_seconds', 'attempts', 'executions');
COMMENT ON FUNCTION sample_adds_up(text) IS 'Whether samples of this name are counts.';

-- From here on functions, which PUBLIC may not execute.

-- ===== Reports out of the catalogues, by the role that sees everybody's activity.

SET LOCAL ROLE ccb_observer;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE FUNCTION report_running_queries() RETURNS TABLE (
        pid integer, user_name text, application_name text, state text, transaction_seconds double precision,
        statement_seconds double precision, wait_event text, query text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM expect_operator('operations:read');
    RETURN QUERY
    SELECT activity.pid, activity.usename::text, activity.application_name, activity.state,
        extract(epoch FROM clock_timestamp() - activity.xact_start)::double precision,
        extract(epoch FROM clock_timestamp() - activity.query_start)::double precision,
        activity.wait_event_type || ': ' || activity.wait_event, left(activity.query, 1000)
    FROM pg_stat_activity AS activity
    WHERE activity.datname = current_database() AND activity.pid <> pg_backend_pid() AND activity.xact_start IS NOT NULL
      AND activity.backend_type = 'client backend'
    ORDER BY activity.xact_start, activity.pid
    LIMIT 100;
END
$$;

CREATE FUNCTION report_invalid_indexes() RETURNS TABLE (table_name text, index_name text, bytes bigint, size text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM expect_operator('operations:read');
    RETURN QUERY
    SELECT indexed.oid::regclass::text, named.relname::text, pg_relation_size(named.oid), pg_size_pretty(pg_relation_size(named.oid))
    FROM pg_index AS index
    JOIN pg_class AS named ON named.oid = index.indexrelid
    JOIN pg_class AS indexed ON indexed.oid = index.indrelid
    WHERE NOT index.indisvalid AND named.relnamespace IN ('public'::regnamespace, 'archive'::regnamespace)
      AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index AS made WHERE made.index_relid = index.indexrelid)
    ORDER BY 1, 2;
END
$$;

-- a table that somebody has locked is no reason for operators to wait
ALTER FUNCTION report_table_sizes() SET lock_timeout = '1s';
ALTER FUNCTION report_bloat() SET lock_timeout = '1s';

GRANT EXECUTE ON FUNCTION report_running_queries(), report_invalid_indexes() TO authenticated_users, ccb_owner;

-- ===== What the tables hold, by the role that reaches rows.

ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
SET LOCAL ROLE ccb_definer;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE FUNCTION filler_rows() RETURNS TABLE (table_name text, row_count bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    filler record;
BEGIN
    FOR filler IN
        SELECT parent.relname::text AS parent, attname AS time_column,
            greatest(part.lower_bound, date_trunc('month', CURRENT_TIMESTAMP, 'UTC')) AS starts,
            least(part.upper_bound, CURRENT_TIMESTAMP + interval '1 month') AS ends
        FROM pg_partitioned_table
        JOIN pg_class AS parent ON parent.oid = partrelid
        JOIN pg_attribute ON attrelid = partrelid AND attnum = partattrs[0]
        CROSS JOIN LATERAL partition_ranges(partrelid) AS part
        WHERE parent.relnamespace = 'public'::regnamespace AND NOT part.is_month
    LOOP
        table_name := filler.parent;
        row_count := 0;
        IF filler.starts < filler.ends THEN
            EXECUTE format('SELECT count(*) FROM (SELECT FROM %1$I WHERE %2$I >= $1 AND %2$I < $2 LIMIT 10000) AS found',
                filler.parent, filler.time_column) INTO row_count USING filler.starts, filler.ends;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION filler_rows() IS 'Rows of this month on that a filler has and a month should have, up to ten thousand of each filler. What is older, or dated far ahead, may well lie there.';

CREATE FUNCTION activity_gauges() RETURNS TABLE (gauge text, label text, value double precision)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT 'webhooks_failing', NULL, count(*)::double precision
    FROM webhooks WHERE failing_since IS NOT NULL AND is_active AND deleted_at IS NULL
    UNION ALL
    SELECT 'executions_last_hour', kind || ' ' || status, count(*)::double precision
    FROM (
        (SELECT 'workflow' AS kind, status FROM workflow_executions
            WHERE created_at > CURRENT_TIMESTAMP - interval '1 hour' LIMIT 100000)
        UNION ALL
        (SELECT 'integration', status FROM integration_executions
            WHERE started_at > CURRENT_TIMESTAMP - interval '1 hour' AND started_at <= CURRENT_TIMESTAMP LIMIT 100000)
    ) AS begun
    GROUP BY kind, status
    UNION ALL
    SELECT 'partition_filler_rows', table_name, sum(row_count)::double precision FROM filler_rows() GROUP BY table_name
    UNION ALL
    SELECT 'database_connections', NULL, sum(numbackends)::double precision FROM pg_stat_database
    UNION ALL
    SELECT 'database_connections_max', NULL, current_setting('max_connections')::double precision
    UNION ALL
    SELECT 'transaction_id_age', NULL, max(age(datfrozenxid))::double precision FROM pg_database;
END
$$;
COMMENT ON FUNCTION activity_gauges() IS 'What /metrics tells of the database beside operational_gauges(): numbers only, of no tenant in particular.';
GRANT EXECUTE ON FUNCTION activity_gauges() TO ccb_service;

CREATE FUNCTION report_gauges() RETURNS TABLE (gauge text, label text, value double precision)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
    SET lock_timeout = '2s'
AS $$
BEGIN
    PERFORM expect_operator('operations:read');
    RETURN QUERY
    SELECT * FROM operational_gauges() UNION ALL SELECT * FROM activity_gauges() UNION ALL SELECT * FROM backup_gauges()
    ORDER BY 1, 2;
END
$$;
GRANT EXECUTE ON FUNCTION report_gauges() TO authenticated_users, ccb_owner;

CREATE FUNCTION report_failing_webhooks() RETURNS TABLE (
        webhook_id uuid, organization_id uuid, organization_name text, origin text, failing_since timestamptz,
        failure_count integer, last_success_at timestamptz, disabled_at timestamptz, disabled_reason text, waiting bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM expect_operator('operations:read');
    RETURN QUERY
    SELECT hook.id, hook.organization_id, organization.name::text, regexp_replace(hook.url, '^([a-z]+://)(?:[^/?#]*@)?([^/?#]*).*$', '\1\2'),
        hook.failing_since, hook.failure_count, hook.last_success_at, hook.disabled_at, hook.disabled_reason::text,
        (SELECT count(*) FROM (
            SELECT FROM webhook_deliveries AS delivery
            WHERE delivery.webhook_id = hook.id AND delivery.status = 'pending' LIMIT 1000) AS pending)
    FROM (
        (SELECT * FROM webhooks AS failing WHERE failing.failing_since IS NOT NULL AND failing.is_active AND failing.deleted_at IS NULL
            ORDER BY failing.failing_since LIMIT 100)
        UNION ALL
        (SELECT * FROM webhooks AS off WHERE off.disabled_reason IN ('failing', 'gone') AND NOT off.is_active AND off.deleted_at IS NULL
            AND off.disabled_at > CURRENT_TIMESTAMP - interval '7 days' ORDER BY off.disabled_at DESC LIMIT 100)
    ) AS hook
    JOIN organizations AS organization ON organization.id = hook.organization_id
    ORDER BY hook.is_active DESC, hook.failing_since, hook.disabled_at DESC, hook.id;
END
$$;
COMMENT ON FUNCTION report_failing_webhooks() IS 'Of the address only its origin: paths hold secrets.';
GRANT EXECUTE ON FUNCTION report_failing_webhooks() TO authenticated_users, ccb_owner;

-- ===== Taking samples and reading them.

CREATE FUNCTION add_samples(names text[], labels text[], amounts double precision[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    -- in one order, so that processes which count the same wait for each other at most
    INSERT INTO operations_samples AS known (name, taken_at, label, value)
    SELECT given.name, date_trunc('minute', clock_timestamp()), left(given.label, 200), sum(given.amount)
    FROM unnest(names, labels, amounts) AS given (name, label, amount)
    WHERE sample_adds_up(given.name) AND given.amount > 0
    GROUP BY given.name, left(given.label, 200) ORDER BY given.name, left(given.label, 200)
    ON CONFLICT ON CONSTRAINT pk_operations_samples DO UPDATE SET value = known.value + EXCLUDED.value;
END
$$;
COMMENT ON FUNCTION add_samples(text[], text[], double precision[]) IS 'Counts of one process, added to those of the others.';
GRANT EXECUTE ON FUNCTION add_samples(text[], text[], double precision[]) TO ccb_service, ccb_worker;

CREATE FUNCTION thin_samples() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    DELETE FROM operations_samples
    WHERE taken_at < CURRENT_TIMESTAMP - CASE name WHEN 'table_bytes' THEN interval '90 days' ELSE interval '14 days' END;
    WITH thinned AS (
        DELETE FROM operations_samples AS fine
        USING (VALUES (true, interval '1 day'), (false, interval '15 minutes')) AS step (is_size, every)
        WHERE step.is_size = (fine.name = 'table_bytes')
          AND fine.taken_at < date_trunc('day', CURRENT_TIMESTAMP - interval '2 days', 'UTC')
          AND fine.taken_at <> date_bin(step.every, fine.taken_at, timestamptz '2000-01-01 00:00+00')
        RETURNING fine.name, fine.label, fine.value, date_bin(step.every, fine.taken_at, timestamptz '2000-01-01 00:00+00') AS taken_at
    )
    INSERT INTO operations_samples AS known (name, taken_at, label, value)
    SELECT name, taken_at, label, CASE WHEN sample_adds_up(name) THEN sum(value) ELSE max(value) END
    FROM thinned GROUP BY name, taken_at, label
    ON CONFLICT ON CONSTRAINT pk_operations_samples DO UPDATE SET value =
        CASE WHEN sample_adds_up(known.name) THEN known.value + EXCLUDED.value ELSE greatest(known.value, EXCLUDED.value) END;
END
$$;
COMMENT ON FUNCTION thin_samples() IS 'After two days quarters of an hour are enough, of sizes days.';

CREATE FUNCTION take_samples() RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
    SET lock_timeout = '2s'
AS $$
DECLARE
    minute timestamptz := date_trunc('minute', clock_timestamp());
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('operations samples', 0))
        OR EXISTS (SELECT FROM operations_samples WHERE name = 'database_connections' AND taken_at = minute)
    THEN
        RETURN false;
    END IF;
    INSERT INTO operations_samples (name, taken_at, label, value)
    SELECT gauges.gauge, minute, coalesce(gauges.label, ''), gauges.value
    FROM (SELECT * FROM operational_gauges() UNION ALL SELECT * FROM activity_gauges()) AS gauges
    WHERE gauges.gauge IN ('queue_depth', 'queue_oldest_seconds', 'webhooks_failing', 'database_connections');
    -- what ended in the minute before this one, by then committed
    WITH ended AS MATERIALIZED (
        SELECT event_type FROM events WHERE created_at >= minute - interval '1 minute' AND created_at < minute
    )
    INSERT INTO operations_samples (name, taken_at, label, value)
    SELECT 'executions', minute - interval '1 minute', replace(replace(event_type, '_execution', ''), '.', ' '), count(*)
    FROM ended
    WHERE event_type IN ('workflow_execution.completed', 'workflow_execution.faulted', 'workflow_execution.cancelled',
        'integration_execution.completed', 'integration_execution.failed', 'integration_execution.cancelled')
    GROUP BY event_type
    ON CONFLICT ON CONSTRAINT pk_operations_samples DO NOTHING;
    RETURN true;
END
$$;
COMMENT ON FUNCTION take_samples() IS 'Once a minute, whichever worker comes first; gives whether this one did.';
GRANT EXECUTE ON FUNCTION take_samples() TO ccb_worker;

CREATE FUNCTION sample_table_sizes() RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
    SET lock_timeout = '1s' -- who looks how large a table is waits for whoever has locked it
AS $$
DECLARE
    hour timestamptz := date_trunc('hour', clock_timestamp(), 'UTC');
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('sizes of tables', 0))
        OR EXISTS (SELECT FROM operations_samples WHERE name = 'table_bytes' AND taken_at = hour)
    THEN
        RETURN false;
    END IF;
    INSERT INTO operations_samples (name, taken_at, label, value)
    SELECT 'table_bytes', hour, left(relation.name, 200), sum(pg_total_relation_size(part.relid))::double precision
    FROM (
        SELECT pg_class.oid AS id, CASE nspname WHEN 'public' THEN '' ELSE nspname || '.' END || relname AS name
        FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname IN ('public', 'archive') AND relkind IN ('r', 'p', 'm') AND NOT relispartition
    ) AS relation
    CROSS JOIN LATERAL (
        SELECT tree.relid::oid FROM pg_partition_tree(relation.id) AS tree UNION SELECT relation.id
    ) AS part
    GROUP BY relation.name HAVING sum(pg_total_relation_size(part.relid)) IS NOT NULL;
    PERFORM thin_samples();
    RETURN true;
END
$$;
COMMENT ON FUNCTION sample_table_sizes() IS 'Once an hour, whichever worker comes first, and what is old is thinned; gives whether this one did.';
GRANT EXECUTE ON FUNCTION sample_table_sizes() TO ccb_worker;

CREATE FUNCTION report_trends(wanted text[], since timestamptz, step interval) RETURNS TABLE (
        name text, label text, begins_at timestamptz, value double precision)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM expect_operator('operations:read');
    RETURN QUERY
    SELECT sample.name::text, sample.label::text, date_bin(step, sample.taken_at, since),
        CASE WHEN sample_adds_up(sample.name) THEN sum(sample.value) ELSE max(sample.value) END
    FROM operations_samples AS sample
    WHERE sample.name = ANY (wanted) AND sample.taken_at >= since
      -- a count of the present minute is not whole yet
      AND (sample.taken_at < date_trunc('minute', clock_timestamp()) OR NOT sample_adds_up(sample.name))
    GROUP BY 1, 2, 3, sample.name ORDER BY 1, 2, 3;
END
$$;
COMMENT ON FUNCTION report_trends(text[], timestamptz, interval) IS 'For operators: samples, counts added up and levels at their highest, by steps from a moment on.';
GRANT EXECUTE ON FUNCTION report_trends(text[], timestamptz, interval) TO authenticated_users, ccb_owner;

ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
SET LOCAL ROLE ccb_owner;
