-- Partitions, retention, archive, views. Every range of time belongs to some partition at all times: what no
-- month covers is covered by fillers (<table>_past, <table>_future, <table>_from_yYYYYmMM), so no row is
-- refused. Procedures run as the owner, wait little for locks, and are safe to repeat.

CREATE SCHEMA archive;
COMMENT ON SCHEMA archive IS 'Partitions that archive_old_partitions() took out of the way, rows and all.';

CREATE TABLE maintenance_runs (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    task VARCHAR(100) NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    ended_at TIMESTAMP WITH TIME ZONE,
    outcome VARCHAR(50) NOT NULL DEFAULT 'running',
    row_count BIGINT,
    error_message TEXT,
    CONSTRAINT pk_maintenance_runs PRIMARY KEY (id),
    CONSTRAINT ck_maintenance_runs_outcome CHECK (outcome IN ('running', 'succeeded', 'failed'))
);
CREATE INDEX idx_maintenance_runs_task_started ON maintenance_runs (task, started_at);
ALTER TABLE maintenance_runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE maintenance_runs FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON maintenance_runs TO ccb_worker;
CREATE POLICY maintenance_runs_worker ON maintenance_runs FOR ALL TO ccb_worker USING (true) WITH CHECK (true);

-- Forced row level security binds the owner: retention reaches what it may delete, and no more.
CREATE POLICY webhook_deliveries_retention_select ON webhook_deliveries FOR SELECT TO ccb_owner USING (true);
CREATE POLICY webhook_deliveries_retention_delete ON webhook_deliveries FOR DELETE TO ccb_owner USING (true);
CREATE POLICY integration_executions_retention_select ON integration_executions FOR SELECT TO ccb_owner USING (true);
CREATE POLICY integration_executions_retention_delete ON integration_executions FOR DELETE TO ccb_owner USING (true);
CREATE POLICY user_sessions_retention_select ON user_sessions FOR SELECT TO ccb_owner USING (true);
CREATE POLICY user_sessions_retention_delete ON user_sessions FOR DELETE TO ccb_owner
    USING (expires_at < CURRENT_TIMESTAMP);
CREATE POLICY audit_logs_retention_select ON audit_logs FOR SELECT TO ccb_owner USING (true);
CREATE POLICY audit_logs_retention_delete ON audit_logs FOR DELETE TO ccb_owner
    USING (created_at < CURRENT_DATE - INTERVAL '1 year');
CREATE POLICY idempotency_keys_retention_select ON idempotency_keys FOR SELECT TO ccb_owner USING (true);
CREATE POLICY idempotency_keys_retention_delete ON idempotency_keys FOR DELETE TO ccb_owner
    USING (expires_at < CURRENT_TIMESTAMP);

CREATE POLICY user_tokens_retention_select ON user_tokens FOR SELECT TO ccb_owner USING (true);
CREATE POLICY user_tokens_retention_delete ON user_tokens FOR DELETE TO ccb_owner USING (expires_at < CURRENT_TIMESTAMP);
CREATE POLICY rate_limits_retention_select ON rate_limits FOR SELECT TO ccb_owner USING (true);
CREATE POLICY rate_limits_retention_delete ON rate_limits FOR DELETE TO ccb_owner USING (arrival_at < CURRENT_TIMESTAMP);
CREATE POLICY login_throttles_retention_select ON login_throttles FOR SELECT TO ccb_owner USING (true);
CREATE POLICY login_throttles_retention_delete ON login_throttles FOR DELETE TO ccb_owner
    USING (updated_at < CURRENT_TIMESTAMP - INTERVAL '1 day');

CREATE FUNCTION partition_ranges(parent regclass)
    RETURNS TABLE (partition regclass, lower_bound timestamptz, upper_bound timestamptz, is_month boolean)
    LANGUAGE sql STABLE
    SET search_path = public, pg_temp
    SET timezone = 'UTC'
AS $$
    SELECT child.oid::regclass,
        CASE bounds.text[1] WHEN 'MINVALUE' THEN '-infinity' ELSE trim('''' FROM bounds.text[1])::timestamptz END,
        CASE bounds.text[2] WHEN 'MAXVALUE' THEN 'infinity' ELSE trim('''' FROM bounds.text[2])::timestamptz END,
        child.relname ~ '_y[0-9]{4}m[0-9]{2}$' AND child.relname !~ '_from_'
    FROM pg_inherits
    JOIN pg_class AS child ON child.oid = inhrelid
    CROSS JOIN LATERAL regexp_match(
        pg_get_expr(child.relpartbound, child.oid), 'FROM \((.+?)\) TO \((.+?)\)') AS bounds (text)
    WHERE inhparent = $1
$$;
COMMENT ON FUNCTION partition_ranges(regclass) IS 'The partitions of a table with their bounds, in UTC; is_month is false for fillers.';

CREATE FUNCTION attach_range(parent regclass, child text, lower_bound timestamptz, upper_bound timestamptz) RETURNS void
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
    SET timezone = 'UTC'
AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', child);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', child);
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', parent, child,
        CASE WHEN lower_bound = '-infinity' THEN 'MINVALUE' ELSE quote_literal(lower_bound) END,
        CASE WHEN upper_bound = 'infinity' THEN 'MAXVALUE' ELSE quote_literal(upper_bound) END);
END
$$;

CREATE FUNCTION filler_name(parent regclass, lower_bound timestamptz, upper_bound timestamptz) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = public, pg_temp
    SET timezone = 'UTC'
    RETURN (SELECT relname FROM pg_class WHERE oid = $1) || CASE
        WHEN $2 = '-infinity' THEN '_past'
        WHEN $3 = 'infinity' THEN '_future'
        ELSE to_char($2, '"_from_y"YYYY"m"MM') END;

-- Fills every uncovered range. Empty fillers beside it are merged into the new one.
CREATE FUNCTION cover_gaps(parent regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
DECLARE
    filler record;
    gap record;
    is_empty boolean;
BEGIN
    IF NOT EXISTS (
        SELECT FROM (
            SELECT upper_bound, lead(lower_bound, 1, 'infinity') OVER (ORDER BY lower_bound) AS next_bound,
                row_number() OVER (ORDER BY lower_bound) AS place, lower_bound
            FROM partition_ranges(parent)
        ) AS covered WHERE upper_bound < next_bound OR place = 1 AND lower_bound > '-infinity'
    ) AND EXISTS (SELECT FROM partition_ranges(parent)) THEN
        RETURN;
    END IF;
    FOR filler IN SELECT * FROM partition_ranges(parent) WHERE NOT is_month LOOP
        EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', parent, filler.partition);
        EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', filler.partition);
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM %s)', filler.partition) INTO is_empty;
        IF is_empty THEN
            EXECUTE format('DROP TABLE %s', filler.partition);
        ELSE
            PERFORM attach_range(parent, filler.partition::text, filler.lower_bound, filler.upper_bound);
        END IF;
    END LOOP;
    FOR gap IN
        SELECT coalesce(lag(upper_bound) OVER (ORDER BY lower_bound), '-infinity') AS lower_bound, lower_bound AS upper_bound
        FROM (SELECT lower_bound, upper_bound FROM partition_ranges(parent) UNION ALL SELECT 'infinity', 'infinity') AS covered
    LOOP
        IF gap.lower_bound < gap.upper_bound THEN
            EXECUTE format('CREATE TABLE %I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                filler_name(parent, gap.lower_bound, gap.upper_bound), parent);
            PERFORM attach_range(parent, filler_name(parent, gap.lower_bound, gap.upper_bound), gap.lower_bound, gap.upper_bound);
        END IF;
    END LOOP;
END
$$;

-- Makes the partition of a month, with the rows that a filler held for it.
CREATE FUNCTION create_month_partition(parent regclass, month timestamptz) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
    SET timezone = 'UTC'
AS $$
DECLARE
    starts timestamptz := date_trunc('month', month);
    ends timestamptz := date_trunc('month', month) + interval '1 month';
    time_column text;
    child text;
    rest text;
    filler record;
    side record;
    is_empty boolean;
BEGIN
    SELECT * INTO filler FROM partition_ranges(parent) WHERE lower_bound <= starts AND upper_bound >= ends;
    IF filler.is_month THEN
        RETURN false;
    END IF;
    SELECT attname INTO time_column FROM pg_partitioned_table
    JOIN pg_attribute ON attrelid = partrelid AND attnum = partattrs[0] WHERE partrelid = parent;
    child := (SELECT relname FROM pg_class WHERE oid = parent) || to_char(starts, '"_y"YYYY"m"MM');

    EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', parent, filler.partition);
    EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', filler.partition);
    EXECUTE format('ALTER TABLE %s RENAME TO %I', filler.partition, child || '_filler');
    EXECUTE format('CREATE TABLE %I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', child, parent);
    EXECUTE format('INSERT INTO %I SELECT * FROM %I WHERE %3$I >= %4$L AND %3$I < %5$L',
        child, child || '_filler', time_column, starts, ends);
    PERFORM attach_range(parent, child, starts, ends);
    FOR side IN SELECT * FROM (VALUES (filler.lower_bound, starts), (ends, filler.upper_bound)) AS sides (lower_bound, upper_bound)
        WHERE lower_bound < upper_bound
    LOOP
        rest := filler_name(parent, side.lower_bound, side.upper_bound);
        EXECUTE format('CREATE TABLE %I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', rest, parent);
        EXECUTE format('INSERT INTO %I SELECT * FROM %I WHERE %3$I >= %4$L AND %3$I < %5$L',
            rest, child || '_filler', time_column, side.lower_bound, side.upper_bound);
        PERFORM attach_range(parent, rest, side.lower_bound, side.upper_bound);
    END LOOP;
    EXECUTE format('DROP TABLE %I', child || '_filler');
    RETURN true;
END
$$;

-- Ruling 21. Months that passed while nobody made partitions are made too, where rows wait for them.
CREATE FUNCTION create_partitions(months_ahead integer DEFAULT 3) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
    SET timezone = 'UTC'
    SET lock_timeout = '2s'
AS $$
DECLARE
    parent regclass;
    created integer := 0;
BEGIN
    FOR parent IN
        SELECT partrelid::regclass FROM pg_partitioned_table JOIN pg_class ON oid = partrelid
        WHERE relnamespace = 'public'::regnamespace ORDER BY relname
    LOOP
        FOR ahead IN 0..months_ahead LOOP
            IF create_month_partition(parent, CURRENT_TIMESTAMP + make_interval(months => ahead)) THEN
                created := created + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN created;
END
$$;
COMMENT ON FUNCTION create_partitions(integer) IS 'Keeps this month and the given number of months ahead; gives the number of partitions made.';

-- Ruling 19: whole expired months are dropped, rows are deleted only where a partition straddles the limit.
CREATE FUNCTION cleanup_old_data(
    keep_webhook_deliveries interval DEFAULT '90 days',
    keep_integration_executions interval DEFAULT '6 months',
    keep_sessions interval DEFAULT '7 days',
    keep_audit_logs interval DEFAULT '7 years'
) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
    SET timezone = 'UTC'
    SET lock_timeout = '2s'
AS $$
DECLARE
    kept record;
    expired regclass;
BEGIN
    FOR kept IN SELECT * FROM (VALUES
        ('webhook_deliveries'::regclass, CURRENT_DATE - keep_webhook_deliveries),
        ('integration_executions'::regclass, CURRENT_DATE - keep_integration_executions),
        ('audit_logs'::regclass, CURRENT_DATE - keep_audit_logs)
    ) AS tables (parent, expiry)
    LOOP
        FOR expired IN SELECT partition FROM partition_ranges(kept.parent) WHERE is_month AND upper_bound <= kept.expiry LOOP
            EXECUTE format('DROP TABLE %s', expired);
        END LOOP;
        PERFORM cover_gaps(kept.parent);
    END LOOP;
    DELETE FROM webhook_deliveries WHERE created_at < CURRENT_DATE - keep_webhook_deliveries;
    DELETE FROM integration_executions WHERE started_at < CURRENT_DATE - keep_integration_executions;
    DELETE FROM audit_logs WHERE created_at < CURRENT_DATE - keep_audit_logs;
    DELETE FROM user_sessions WHERE expires_at < CURRENT_TIMESTAMP - keep_sessions;
    DELETE FROM idempotency_keys WHERE expires_at < CURRENT_TIMESTAMP;
    DELETE FROM user_tokens WHERE expires_at < CURRENT_TIMESTAMP - keep_sessions;
    DELETE FROM rate_limits WHERE arrival_at < CURRENT_TIMESTAMP;
    DELETE FROM login_throttles WHERE updated_at < CURRENT_TIMESTAMP - INTERVAL '1 day';
    RAISE NOTICE 'Cleanup completed at %', CURRENT_TIMESTAMP;
END
$$;

CREATE FUNCTION refresh_materialized_views() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    REFRESH MATERIALIZED VIEW CONCURRENTLY integration_stats;
    REFRESH MATERIALIZED VIEW CONCURRENTLY user_activity;
    RAISE NOTICE 'Materialized views refreshed at %', CURRENT_TIMESTAMP;
END
$$;

-- Ruling 20: the rows move to the schema archive with their partition; a second run finds nothing to do.
CREATE FUNCTION archive_old_partitions(keep interval DEFAULT '12 months') RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
    SET timezone = 'UTC'
    SET lock_timeout = '2s'
AS $$
DECLARE
    old regclass;
BEGIN
    FOR old IN
        SELECT partition FROM partition_ranges('events') WHERE is_month AND upper_bound <= date_trunc('month', CURRENT_DATE - keep)
    LOOP
        EXECUTE format('ALTER TABLE events DETACH PARTITION %s', old);
        EXECUTE format('ALTER TABLE %s SET SCHEMA archive', old);
        RAISE NOTICE 'Archived partition: %', old;
    END LOOP;
    PERFORM cover_gaps('events');
END
$$;

-- Brings an archived month back; rows that arrived for it meanwhile stay with it.
CREATE FUNCTION attach_archived_partition(name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
    SET timezone = 'UTC'
    SET lock_timeout = '2s'
AS $$
DECLARE
    month timestamptz := to_timestamp(substring(name FROM '^events_y([0-9]{4}m[0-9]{2})$'), 'YYYY"m"MM');
BEGIN
    IF month IS NULL OR to_regclass(format('archive.%I', name)) IS NULL THEN
        RAISE EXCEPTION 'there is no archived partition %', name USING ERRCODE = 'undefined_table';
    END IF;
    PERFORM create_month_partition('events', month);
    EXECUTE format('ALTER TABLE events DETACH PARTITION %I', name);
    EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE archive.%I NO FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('INSERT INTO archive.%1$I SELECT * FROM public.%1$I', name);
    SET CONSTRAINTS ALL IMMEDIATE; -- a table whose deferred checks wait cannot be attached
    EXECUTE format('DROP TABLE public.%I', name);
    EXECUTE format('ALTER TABLE archive.%I SET SCHEMA public', name);
    PERFORM attach_range('events', name, month, month + interval '1 month');
END
$$;

REVOKE ALL ON FUNCTION create_partitions(integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION cleanup_old_data(interval, interval, interval, interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION refresh_materialized_views() FROM PUBLIC;
REVOKE ALL ON FUNCTION archive_old_partitions(interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION attach_archived_partition(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION create_partitions(integer) TO ccb_worker;
GRANT EXECUTE ON FUNCTION cleanup_old_data(interval, interval, interval, interval) TO ccb_worker;
GRANT EXECUTE ON FUNCTION refresh_materialized_views() TO ccb_worker;
GRANT EXECUTE ON FUNCTION archive_old_partitions(interval) TO ccb_worker;
GRANT EXECUTE ON FUNCTION attach_archived_partition(text) TO ccb_worker;
-- last, because only an owner grants
ALTER FUNCTION refresh_materialized_views() OWNER TO ccb_definer;

-- Fillers around the document's months.
SELECT cover_gaps(partrelid::regclass) FROM pg_partitioned_table JOIN pg_class ON oid = partrelid
WHERE relnamespace = 'public'::regnamespace;

-- What a backup is compared by: the number of rows and a digest that does not depend on their order.
CREATE FUNCTION table_digest(relation regclass) RETURNS TABLE (row_count bigint, digest text)
    LANGUAGE plpgsql STABLE
    SET search_path = public, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    SET extra_float_digits = 1
AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT count(*), coalesce(sum((''x'' || left(md5(entry::text), 16))::bit(64)::bigint::numeric), 0)::text FROM %s AS entry',
        relation);
END
$$;
