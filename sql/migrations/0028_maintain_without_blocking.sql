-- Partitions come and go beside writers. What needs an exclusive lock is short, gives up soon and is tried again; what
-- can do without one (DETACH … CONCURRENTLY) runs outside of functions, in operations/partitions.py.

CREATE FUNCTION maintenance_key(task text) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN hashtextextended('maintenance ' || $1, 0);

-- Two that rebuild partitions at once would each see the other's half.
CREATE FUNCTION lock_maintenance(task text) RETURNS void
    LANGUAGE sql
    SET search_path = public, pg_temp
AS $$
    SELECT pg_advisory_xact_lock(maintenance_key(task))
$$;

-- ===== Months out of fillers, and fillers in the place of months.

-- Takes every lock that attaching and detaching need, what the keys refer to first: whoever waits there holds nothing
-- that writers of the partitioned table wait for.
CREATE FUNCTION lock_for_partitions(parent regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
DECLARE
    referenced regclass;
BEGIN
    FOR referenced IN SELECT DISTINCT confrelid FROM pg_constraint WHERE conrelid = parent AND contype = 'f' ORDER BY confrelid LOOP
        EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', referenced);
    END LOOP;
    EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', parent);
END
$$;

CREATE FUNCTION name_filler(parent regclass, filler regclass, lower_bound timestamptz, upper_bound timestamptz) RETURNS text
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
DECLARE
    name text := filler_name(parent, lower_bound, upper_bound);
BEGIN
    IF to_regclass(quote_ident(name)) IS DISTINCT FROM filler THEN
        EXECUTE format('ALTER TABLE %s RENAME TO %I', filler, name);
    END IF;
    RETURN name;
END
$$;

-- A filler gets other bounds, and the name that goes with them. The same table is attached again: dropping it would lock
-- out everybody who reads what its keys refer to.
CREATE FUNCTION bound_filler(parent regclass, filler regclass, lower_bound timestamptz, upper_bound timestamptz) RETURNS void
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM attach_range(parent, name_filler(parent, filler, lower_bound, upper_bound), lower_bound, upper_bound);
END
$$;

-- Puts a table that stands alone in the place of a month. It takes in the rows that the filler held for that month.
CREATE FUNCTION place_month(parent regclass, child text, starts timestamptz, ends timestamptz) RETURNS void
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
    SET timezone = 'UTC'
AS $$
DECLARE
    move CONSTANT text := 'WITH moved AS (DELETE FROM %1$s WHERE %2$I >= %3$L AND %2$I < %4$L RETURNING *)'
        ' INSERT INTO %5$I SELECT * FROM moved';
    time_column text;
    filler record;
    rest text;
BEGIN
    PERFORM lock_for_partitions(parent);
    SELECT * INTO filler FROM partition_ranges(parent) WHERE lower_bound <= starts AND upper_bound >= ends AND NOT is_month;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no filler covers the month of %', child USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    SELECT attname INTO time_column FROM pg_partitioned_table
    JOIN pg_attribute ON attrelid = partrelid AND attnum = partattrs[0] WHERE partrelid = parent;
    EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', parent, filler.partition);
    EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', filler.partition);
    EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', child);
    EXECUTE format(move, filler.partition, time_column, starts, ends, child);
    SET CONSTRAINTS ALL IMMEDIATE; -- a table whose deferred checks wait cannot be attached
    PERFORM attach_range(parent, child, starts, ends);
    IF filler.lower_bound < starts AND ends < filler.upper_bound THEN
        PERFORM name_filler(parent, filler.partition, filler.lower_bound, starts); -- its present name may be the other's
        rest := filler_name(parent, ends, filler.upper_bound);
        EXECUTE format('CREATE TABLE %I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', rest, parent);
        EXECUTE format(move, filler.partition, time_column, ends, filler.upper_bound, rest);
        PERFORM attach_range(parent, rest, ends, filler.upper_bound);
    END IF;
    IF filler.lower_bound < starts THEN
        PERFORM bound_filler(parent, filler.partition, filler.lower_bound, starts);
    ELSIF ends < filler.upper_bound THEN
        PERFORM bound_filler(parent, filler.partition, ends, filler.upper_bound);
    ELSE
        EXECUTE format('DROP TABLE %s', filler.partition);
    END IF;
END
$$;
COMMENT ON FUNCTION place_month(regclass, text, timestamptz, timestamptz) IS
    'Attaches a table as the partition of a month, with the rows that a filler held for it.';

-- Makes the partition of a month. In the ordinary case, months ahead, the filler is empty and nothing is moved.
CREATE OR REPLACE FUNCTION create_month_partition(parent regclass, month timestamptz) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
    SET timezone = 'UTC'
AS $$
DECLARE
    starts timestamptz := date_trunc('month', month);
    ends timestamptz := date_trunc('month', month) + interval '1 month';
    child text := (SELECT relname FROM pg_class WHERE oid = parent) || to_char(starts, '"_y"YYYY"m"MM');
BEGIN
    IF EXISTS (SELECT FROM partition_ranges(parent) WHERE is_month AND lower_bound = starts) THEN
        RETURN false;
    END IF;
    -- with its indexes, which need not be made under the lock
    EXECUTE format('CREATE TABLE %I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', child, parent);
    PERFORM place_month(parent, child, starts, ends);
    RETURN true;
END
$$;

-- What no partition covers is covered by the filler beside it, or by a new one where that is large: attaching reads it.
CREATE OR REPLACE FUNCTION cover_gaps(parent regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
DECLARE
    gap record;
    beside record;
    name text;
BEGIN
    FOR gap IN
        SELECT * FROM (
            SELECT coalesce(lag(upper_bound) OVER (ORDER BY lower_bound), '-infinity') AS lower_bound, lower_bound AS upper_bound
            FROM (SELECT lower_bound, upper_bound FROM partition_ranges(parent) UNION ALL SELECT 'infinity', 'infinity') AS covered
        ) AS gaps WHERE gaps.lower_bound < gaps.upper_bound
    LOOP
        SELECT partition, least(ranges.lower_bound, gap.lower_bound) AS lower_bound,
            greatest(ranges.upper_bound, gap.upper_bound) AS upper_bound
        INTO beside FROM partition_ranges(parent) AS ranges
        WHERE NOT is_month AND (ranges.upper_bound = gap.lower_bound OR ranges.lower_bound = gap.upper_bound)
          AND pg_relation_size(partition) <= 1048576
        ORDER BY ranges.lower_bound LIMIT 1;
        IF FOUND THEN
            PERFORM lock_for_partitions(parent);
            EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', parent, beside.partition);
            PERFORM bound_filler(parent, beside.partition, beside.lower_bound, beside.upper_bound);
        ELSE
            name := filler_name(parent, gap.lower_bound, gap.upper_bound);
            EXECUTE format('CREATE TABLE %I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', name, parent);
            PERFORM attach_range(parent, name, gap.lower_bound, gap.upper_bound);
        END IF;
    END LOOP;
END
$$;

-- ===== Months ahead (ruling 21).

CREATE FUNCTION missing_months(months_ahead integer, moment timestamptz DEFAULT CURRENT_TIMESTAMP)
    RETURNS TABLE (parent regclass, month timestamptz)
    LANGUAGE sql STABLE
    SET search_path = public, pg_temp
    SET timezone = 'UTC'
AS $$
    SELECT pg_class.oid::regclass, months.month
    FROM pg_partitioned_table JOIN pg_class ON pg_class.oid = partrelid
    CROSS JOIN LATERAL (
        SELECT date_trunc('month', moment) + make_interval(months => number) AS month FROM generate_series(0, months_ahead) AS number
    ) AS months
    WHERE relnamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM partition_ranges(partrelid) WHERE is_month AND lower_bound = months.month)
    ORDER BY months.month, relname
$$;
COMMENT ON FUNCTION missing_months(integer, timestamptz) IS 'Months, this one and those ahead, that no partition of their own holds; the nearest first.';

CREATE OR REPLACE FUNCTION create_partitions(months_ahead integer DEFAULT 3) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
    SET lock_timeout = '2s'
AS $$
DECLARE
    missing record;
    created integer := 0;
BEGIN
    PERFORM lock_maintenance('partitions');
    FOR missing IN SELECT * FROM missing_months(months_ahead) LOOP
        PERFORM create_month_partition(missing.parent, missing.month);
        created := created + 1;
    END LOOP;
    RETURN created;
END
$$;

CREATE FUNCTION create_next_partition(months_ahead integer DEFAULT 3, moment timestamptz DEFAULT CURRENT_TIMESTAMP) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
    SET lock_timeout = '100ms'
AS $$
DECLARE
    missing record;
BEGIN
    PERFORM lock_maintenance('partitions');
    SELECT * INTO missing FROM missing_months(months_ahead, moment) LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM create_month_partition(missing.parent, missing.month);
    RETURN 1;
END
$$;
COMMENT ON FUNCTION create_next_partition(integer, timestamptz) IS
    'The nearest missing month, in a transaction of its own so that locks are short; NULL when none is missing.';

-- ===== Retention (ruling 19).

CREATE POLICY maintenance_runs_retention_select ON maintenance_runs FOR SELECT TO ccb_owner USING (true);
CREATE POLICY maintenance_runs_retention_delete ON maintenance_runs FOR DELETE TO ccb_owner
    USING (created_at < CURRENT_TIMESTAMP - INTERVAL '30 days');

CREATE FUNCTION retention_limit(keep interval, moment timestamptz DEFAULT CURRENT_TIMESTAMP) RETURNS timestamptz
    LANGUAGE sql STABLE
    SET search_path = public, pg_temp
    SET timezone = 'UTC'
    RETURN date_trunc('day', $2) - $1;
COMMENT ON FUNCTION retention_limit(interval, timestamptz) IS 'What is older goes: whole days, in UTC.';

CREATE FUNCTION delete_expired(
    subject text, keep interval, batch integer DEFAULT NULL, moment timestamptz DEFAULT CURRENT_TIMESTAMP
) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    expiry timestamptz := retention_limit(keep, moment);
    row_count bigint;
BEGIN
    CASE subject
        WHEN 'webhook_deliveries' THEN
            DELETE FROM webhook_deliveries WHERE created_at < expiry AND (id, created_at) IN (
                SELECT id, created_at FROM webhook_deliveries WHERE created_at < expiry LIMIT batch);
        WHEN 'integration_executions' THEN
            DELETE FROM integration_executions WHERE started_at < expiry AND (id, started_at) IN (
                SELECT id, started_at FROM integration_executions WHERE started_at < expiry LIMIT batch);
        WHEN 'audit_logs' THEN
            DELETE FROM audit_logs WHERE created_at < expiry AND (id, created_at) IN (
                SELECT id, created_at FROM audit_logs WHERE created_at < expiry LIMIT batch);
        WHEN 'user_sessions' THEN
            DELETE FROM user_sessions WHERE id IN (SELECT id FROM user_sessions WHERE expires_at < moment - keep LIMIT batch);
        WHEN 'user_tokens' THEN
            DELETE FROM user_tokens WHERE token_hash IN (SELECT token_hash FROM user_tokens WHERE expires_at < moment - keep LIMIT batch);
        WHEN 'idempotency_keys' THEN
            DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM idempotency_keys WHERE expires_at < moment - keep LIMIT batch));
        WHEN 'rate_limits' THEN
            DELETE FROM rate_limits WHERE ctid = ANY (ARRAY(SELECT ctid FROM rate_limits WHERE arrival_at < moment - keep LIMIT batch));
        WHEN 'login_throttles' THEN
            DELETE FROM login_throttles WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM login_throttles WHERE updated_at < moment - keep LIMIT batch));
        WHEN 'maintenance_runs' THEN
            DELETE FROM maintenance_runs WHERE id IN (
                SELECT id FROM maintenance_runs WHERE created_at < moment - keep AND ended_at IS NOT NULL LIMIT batch);
        ELSE
            RAISE EXCEPTION 'nothing expires in %', subject USING ERRCODE = 'invalid_parameter_value';
    END CASE;
    GET DIAGNOSTICS row_count = ROW_COUNT;
    RETURN row_count;
END
$$;
COMMENT ON FUNCTION delete_expired(text, interval, integer, timestamptz) IS
    'Rows of a table that are kept for no longer, so many at a time (NULL for all); gives how many went.';

CREATE FUNCTION expired_months(parent regclass, keep interval, moment timestamptz DEFAULT CURRENT_TIMESTAMP) RETURNS SETOF regclass
    LANGUAGE sql STABLE
    SET search_path = public, pg_temp
AS $$
    SELECT partition FROM partition_ranges(parent) WHERE is_month AND upper_bound <= retention_limit(keep, moment) ORDER BY lower_bound
$$;

CREATE OR REPLACE FUNCTION cleanup_old_data(
    keep_webhook_deliveries interval DEFAULT '90 days',
    keep_integration_executions interval DEFAULT '6 months',
    keep_sessions interval DEFAULT '7 days',
    keep_audit_logs interval DEFAULT '7 years'
) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
    SET lock_timeout = '2s'
AS $$
DECLARE
    kept record;
    expired regclass;
BEGIN
    -- rows first: what locks writers out comes last, when little is left to do
    PERFORM delete_expired('user_sessions', keep_sessions), delete_expired('user_tokens', keep_sessions),
        delete_expired('idempotency_keys', '0'), delete_expired('rate_limits', '0'), delete_expired('login_throttles', '1 day'),
        delete_expired('maintenance_runs', '90 days');
    PERFORM lock_maintenance('partitions');
    FOR kept IN SELECT * FROM (VALUES
        ('webhook_deliveries', keep_webhook_deliveries),
        ('integration_executions', keep_integration_executions),
        ('audit_logs', keep_audit_logs)
    ) AS tables (name, keep)
    LOOP
        FOR expired IN SELECT expired_months(kept.name::regclass, kept.keep) LOOP
            PERFORM lock_for_partitions(kept.name::regclass);
            EXECUTE format('DROP TABLE %s', expired);
        END LOOP;
        PERFORM cover_gaps(kept.name::regclass);
        PERFORM delete_expired(kept.name, kept.keep);
    END LOOP;
    RAISE NOTICE 'Cleanup completed at %', CURRENT_TIMESTAMP;
END
$$;

-- ===== The archive (ruling 20). A month that was brought back stays until somebody asks for it to go.

CREATE FUNCTION is_brought_back(partition regclass) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = public, pg_temp
    RETURN coalesce(obj_description($1, 'pg_class') = 'Brought back from the archive.', false);

CREATE FUNCTION archivable_months(keep interval, brought_back_too boolean DEFAULT false, moment timestamptz DEFAULT CURRENT_TIMESTAMP)
    RETURNS SETOF regclass
    LANGUAGE sql STABLE
    SET search_path = public, pg_temp
    SET timezone = 'UTC'
AS $$
    SELECT partition FROM partition_ranges('events')
    WHERE is_month AND upper_bound <= date_trunc('month', date_trunc('day', moment) - keep)
      AND (brought_back_too OR NOT is_brought_back(partition))
    ORDER BY lower_bound
$$;

-- A month that stands alone goes to the archive.
CREATE FUNCTION shelve_month(name text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    EXECUTE format('COMMENT ON TABLE public.%I IS NULL', name);
    EXECUTE format('ALTER TABLE public.%I SET SCHEMA archive', name);
END
$$;

-- The next statement takes its place, for the same calls.
-- squawk-ignore ban-drop-function
DROP FUNCTION archive_old_partitions(interval);
CREATE FUNCTION archive_old_partitions(keep interval DEFAULT '12 months', brought_back_too boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
    SET lock_timeout = '2s'
AS $$
DECLARE
    old regclass;
BEGIN
    PERFORM lock_maintenance('partitions');
    FOR old IN SELECT archivable_months(keep, brought_back_too) LOOP
        PERFORM lock_for_partitions('events');
        EXECUTE format('ALTER TABLE events DETACH PARTITION %s', old);
        PERFORM shelve_month((SELECT relname::text FROM pg_class WHERE oid = old));
        RAISE NOTICE 'Archived partition: %', old;
    END LOOP;
    PERFORM cover_gaps('events');
END
$$;
COMMENT ON FUNCTION archive_old_partitions(interval, boolean) IS
    'Moves months of events to the schema archive; one that was brought back only where that is asked for.';

-- What attaching would otherwise have to read the month for, with everybody waiting.
CREATE FUNCTION prepare_archived_month(name text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
    SET timezone = 'UTC'
AS $$
DECLARE
    month timestamptz := to_timestamp(substring(name FROM '^events_y([0-9]{4}m[0-9]{2})$'), 'YYYY"m"MM');
    archived regclass := to_regclass(format('archive.%I', name));
BEGIN
    IF month IS NULL OR archived IS NULL THEN
        RAISE EXCEPTION 'there is no archived partition %', name USING ERRCODE = 'undefined_table';
    END IF;
    -- whatever it was archived with: nobody may write to it meanwhile
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS ck_archived_month', archived);
    EXECUTE format('ALTER TABLE %s ADD CONSTRAINT ck_archived_month CHECK (created_at IS NOT NULL AND created_at >= %L AND created_at < %L)',
        archived, month, month + interval '1 month');
END
$$;

CREATE FUNCTION bring_back_month(name text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
    SET timezone = 'UTC'
AS $$
DECLARE
    month timestamptz := to_timestamp(substring(name FROM '^events_y([0-9]{4}m[0-9]{2})$'), 'YYYY"m"MM');
BEGIN
    IF month IS NULL OR to_regclass(format('archive.%I', name)) IS NULL THEN
        RAISE EXCEPTION 'there is no archived partition %', name USING ERRCODE = 'undefined_table';
    END IF;
    IF to_regclass(format('public.%I', name)) IS NOT NULL THEN
        RAISE EXCEPTION '% is there already', name USING ERRCODE = 'duplicate_table';
    END IF;
    EXECUTE format('ALTER TABLE archive.%I SET SCHEMA public', name);
    PERFORM place_month('events', name, month, month + interval '1 month');
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT IF EXISTS ck_archived_month', name);
    EXECUTE format('COMMENT ON TABLE %I IS %L', name, 'Brought back from the archive.');
END
$$;

CREATE OR REPLACE FUNCTION attach_archived_partition(name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
    SET lock_timeout = '2s'
AS $$
BEGIN
    PERFORM lock_maintenance('partitions');
    PERFORM prepare_archived_month(name);
    PERFORM bring_back_month(name);
END
$$;

-- Months that were detached and not dealt with: whoever did it was interrupted.
CREATE FUNCTION stranded_months(parent regclass) RETURNS TABLE (name text, lower_bound timestamptz, upper_bound timestamptz)
    LANGUAGE sql STABLE
    SET search_path = public, pg_temp
    SET timezone = 'UTC'
AS $$
    SELECT relname::text, months.month, months.month + interval '1 month'
    FROM pg_class
    CROSS JOIN LATERAL (SELECT to_timestamp(substring(relname FROM '_y([0-9]{4}m[0-9]{2})$'), 'YYYY"m"MM') AS month) AS months
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND NOT relispartition
      AND relname = (SELECT named.relname FROM pg_class AS named WHERE named.oid = parent) || to_char(months.month, '"_y"YYYY"m"MM')
    ORDER BY months.month
$$;

-- ===== Runs: every one is a row, and one runner has a task at a time, by a lock that goes with its connection.

ALTER TABLE maintenance_runs ADD COLUMN runner VARCHAR(50);
COMMENT ON COLUMN maintenance_runs.runner IS 'worker or pg_cron.';

-- Due is what was asked for, and what has not succeeded since its time came. A failure is tried again after a minute,
-- the next one after two, and so on to about an hour.
CREATE FUNCTION maintenance_is_due(task text, due_since timestamptz) RETURNS boolean
    LANGUAGE plpgsql VOLATILE
    SET search_path = public, pg_temp
AS $$
DECLARE
    succeeded_at timestamptz;
    failures bigint;
    failed_at timestamptz;
BEGIN
    IF EXISTS (SELECT FROM maintenance_runs AS runs WHERE runs.task = $1 AND runs.outcome = 'requested') THEN
        RETURN true;
    END IF;
    SELECT started_at INTO succeeded_at FROM maintenance_runs AS runs
    WHERE runs.task = $1 AND runs.outcome = 'succeeded' ORDER BY started_at DESC LIMIT 1;
    IF succeeded_at >= due_since THEN
        RETURN false;
    END IF;
    SELECT count(*), max(ended_at) INTO failures, failed_at FROM maintenance_runs AS runs
    WHERE runs.task = $1 AND runs.outcome = 'failed' AND runs.started_at > coalesce(succeeded_at, '-infinity');
    RETURN failures = 0 OR failed_at + interval '1 minute' * 2 ^ least(failures - 1, 6) <= clock_timestamp();
END
$$;
COMMENT ON FUNCTION maintenance_is_due(text, timestamptz) IS 'Whether a task should run that is due since then.';

-- For runners that look: nobody has it, and it is due or was left unfinished.
CREATE FUNCTION maintenance_is_waiting(task text, due_since timestamptz) RETURNS boolean
    LANGUAGE plpgsql VOLATILE
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN pg_try_advisory_xact_lock(maintenance_key($1)) AND (maintenance_is_due($1, $2)
        OR EXISTS (SELECT FROM maintenance_runs AS runs WHERE runs.task = $1 AND runs.outcome = 'running'));
END
$$;

CREATE FUNCTION begin_maintenance(task text, due_since timestamptz, runner text) RETURNS uuid
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    is_due boolean;
    run_id uuid;
BEGIN
    IF NOT pg_try_advisory_lock(maintenance_key($1)) THEN
        RETURN NULL;
    END IF;
    is_due := $2 IS NULL OR maintenance_is_due($1, $2);
    UPDATE maintenance_runs SET outcome = 'failed', ended_at = clock_timestamp(),
        error_message = 'The runner was interrupted: it ended without a report.'
    WHERE task = $1 AND outcome = 'running';
    is_due := is_due OR FOUND; -- what it left is taken up at once
    UPDATE maintenance_runs SET outcome = 'running', started_at = clock_timestamp(), runner = $3
    WHERE task = $1 AND outcome = 'requested' RETURNING id INTO run_id;
    IF run_id IS NULL AND is_due THEN
        INSERT INTO maintenance_runs (task, started_at, runner) VALUES ($1, clock_timestamp(), $3) RETURNING id INTO run_id;
    END IF;
    IF run_id IS NULL THEN
        PERFORM pg_advisory_unlock(maintenance_key($1));
    END IF;
    RETURN run_id;
END
$$;
COMMENT ON FUNCTION begin_maintenance(text, timestamptz, text) IS
    'Claims a run for this connection, and closes what a runner left that is gone; NULL where it is not due (due_since NULL: it always is) or another has it.';

CREATE FUNCTION end_maintenance(run_id uuid, row_count bigint, error_message text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    ended text;
BEGIN
    UPDATE maintenance_runs SET ended_at = clock_timestamp(), row_count = $2, error_message = $3,
        outcome = CASE WHEN $3 IS NULL THEN 'succeeded' ELSE 'failed' END
    WHERE id = $1 RETURNING task INTO ended;
    PERFORM pg_advisory_unlock(maintenance_key(ended));
END
$$;
COMMENT ON FUNCTION end_maintenance(uuid, bigint, text) IS 'Notes how a run of this connection ended, with what went wrong if anything did.';

SET LOCAL ROLE ccb_definer;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- The next statement takes its place, for the same calls.
-- squawk-ignore ban-drop-function
DROP FUNCTION cleanup_mail(interval);
CREATE FUNCTION cleanup_mail(keep interval DEFAULT '7 days', batch integer DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    row_count bigint;
BEGIN
    DELETE FROM mail_messages WHERE id IN (SELECT id FROM mail_messages WHERE ended_at < clock_timestamp() - keep LIMIT batch);
    GET DIAGNOSTICS row_count = ROW_COUNT;
    RETURN row_count;
END
$$;
COMMENT ON FUNCTION cleanup_mail(interval, integer) IS 'Mail that was sent or given up, so much at a time (NULL for all); gives how much went.';
GRANT EXECUTE ON FUNCTION cleanup_mail(interval, integer) TO ccb_worker;

CREATE OR REPLACE VIEW maintenance_run_listings WITH (security_barrier = true) AS
SELECT id, task, outcome, requested_by, created_at, started_at, ended_at, row_count, error_message,
    CASE outcome WHEN 'requested' THEN 1 WHEN 'running' THEN 2 ELSE 3 END AS version, runner
FROM maintenance_runs
WHERE (SELECT operator_permits('operations:read') OR operator_permits('operations:run'));

ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
SET LOCAL ROLE ccb_owner;

-- ===== What is done in the database alone, by the worker or by pg_cron: one step after another, each a transaction.

CREATE FUNCTION maintenance_step(task text, number integer, months_ahead integer) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    CASE task
        WHEN 'create-partitions' THEN
            RETURN create_next_partition(months_ahead);
        WHEN 'refresh-views' THEN
            IF number > 0 THEN
                RETURN NULL;
            END IF;
            PERFORM refresh_materialized_views();
            RETURN 2;
        WHEN 'cleanup-mail' THEN
            RETURN nullif(cleanup_mail(batch => 5000), 0);
        ELSE
            RAISE EXCEPTION 'no task of the database is named %', task USING ERRCODE = 'invalid_parameter_value';
    END CASE;
END
$$;
COMMENT ON FUNCTION maintenance_step(text, integer, integer) IS 'The next step of a task, the first being 0: how much it did, or NULL when nothing was left.';

-- Not a SET of its own and no qualified caller: a procedure that commits must do without.
CREATE PROCEDURE run_maintenance(task text, months_ahead integer DEFAULT 3)
    LANGUAGE plpgsql
AS $$
DECLARE
    run_id uuid := public.begin_maintenance(task, NULL, 'pg_cron');
    number integer := 0;
    refusals integer := 0;
    done bigint := 0;
    total bigint := 0;
    fault text;
BEGIN
    COMMIT;
    WHILE run_id IS NOT NULL AND done IS NOT NULL AND fault IS NULL LOOP
        BEGIN
            done := public.maintenance_step(task, number, months_ahead);
            total := total + coalesce(done, 0);
            number := number + 1;
            refusals := 0;
        EXCEPTION
            WHEN lock_not_available OR deadlock_detected THEN
                refusals := refusals + 1;
                fault := CASE WHEN refusals >= 30 THEN SQLERRM END;
            WHEN OTHERS THEN
                fault := SQLERRM;
        END;
        COMMIT;
        IF refusals > 0 AND fault IS NULL THEN
            PERFORM pg_sleep(least(5, 0.1 * 2 ^ refusals));
            COMMIT;
        END IF;
    END LOOP;
    IF run_id IS NOT NULL THEN
        PERFORM public.end_maintenance(run_id, total, fault);
    END IF;
END
$$;
COMMENT ON PROCEDURE run_maintenance(text, integer) IS 'A run of a task by pg_cron: its row is there whatever becomes of it.';

-- ===== Beside pg_cron (ruling 22).

CREATE FUNCTION ask_for_maintenance(task text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO maintenance_runs (task, outcome, started_at) VALUES ($1, 'requested', NULL)
    ON CONFLICT (task) WHERE outcome = 'requested' DO NOTHING;
END
$$;
COMMENT ON FUNCTION ask_for_maintenance(text) IS 'How pg_cron has the worker do what takes more than the database.';

-- Whether pg_cron's own process is there: without the library in the server nobody looks at the jobs. Where the
-- administrator could not hand on pg_read_all_stats it is not seen, and the worker goes by its own clock.
SET LOCAL ROLE ccb_observer;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE FUNCTION is_pg_cron_running() RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_cron launcher');
END
$$;
GRANT EXECUTE ON FUNCTION is_pg_cron_running() TO ccb_worker;

ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
SET LOCAL ROLE ccb_owner;

CREATE FUNCTION tasks_on_pg_cron() RETURNS SETOF text
    LANGUAGE plpgsql STABLE
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_namespace WHERE nspname = 'cron' AND has_schema_privilege(oid, 'USAGE'))
        AND to_regclass('cron.job') IS NOT NULL AND is_pg_cron_running()
    THEN
        RETURN QUERY EXECUTE 'SELECT jobname::text FROM cron.job WHERE active AND database = current_database() AND username = current_user';
    END IF;
END
$$;
COMMENT ON FUNCTION tasks_on_pg_cron() IS 'What pg_cron runs on its schedule, so that the worker leaves it alone.';

-- ===== Who may.

REVOKE ALL ON FUNCTION lock_for_partitions(regclass), lock_maintenance(text),
    name_filler(regclass, regclass, timestamptz, timestamptz), bound_filler(regclass, regclass, timestamptz, timestamptz),
    place_month(regclass, text, timestamptz, timestamptz), create_next_partition(integer, timestamptz),
    delete_expired(text, interval, integer, timestamptz), shelve_month(text), archive_old_partitions(interval, boolean),
    prepare_archived_month(text), bring_back_month(text), maintenance_is_due(text, timestamptz), maintenance_is_waiting(text, timestamptz),
    begin_maintenance(text, timestamptz, text), end_maintenance(uuid, bigint, text), maintenance_step(text, integer, integer),
    ask_for_maintenance(text), tasks_on_pg_cron() FROM PUBLIC;
REVOKE ALL ON PROCEDURE run_maintenance(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION create_next_partition(integer, timestamptz), delete_expired(text, interval, integer, timestamptz),
    archive_old_partitions(interval, boolean), maintenance_is_due(text, timestamptz), maintenance_is_waiting(text, timestamptz),
    begin_maintenance(text, timestamptz, text), end_maintenance(uuid, bigint, text), maintenance_step(text, integer, integer),
    ask_for_maintenance(text), tasks_on_pg_cron() TO ccb_worker;
GRANT EXECUTE ON PROCEDURE run_maintenance(text, integer) TO ccb_worker;
