-- Backups of two kinds, dumps and base backups, each with its own age; and who makes them: ccb_backup, which reads
-- everything and changes nothing.

ALTER TABLE backups ADD COLUMN kind VARCHAR(20) NOT NULL DEFAULT 'dump';
-- a handful of rows
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE backups ADD CONSTRAINT ck_backups_kind CHECK (kind IN ('dump', 'base'));
COMMENT ON COLUMN backups.kind IS 'dump: one database, by pg_dump. base: the whole server, to recover to a point in time from.';
COMMENT ON COLUMN backups.verified_at IS 'When it was last restored elsewhere and found to be what it should: the last drill.';
-- a handful of rows
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX idx_backups_created;
-- a handful of rows
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX idx_backups_kind_created ON backups (kind, created_at);

GRANT USAGE ON SCHEMA archive TO ccb_backup;

-- Where ccb_backup could not be given BYPASSRLS, as on managed PostgreSQL, each table tells by a policy that it may
-- read. A new month is a table of its own, so this is asked for ahead of every dump.
CREATE FUNCTION open_to_backups() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
    SET lock_timeout = '2s'
AS $$
DECLARE
    relation record;
    opened bigint := 0;
BEGIN
    FOR relation IN
        SELECT pg_class.oid::regclass AS name, pg_class.relname || '_backup' AS policy,
            pg_class.relkind <> 'S' AND NOT EXISTS (
                SELECT FROM pg_policy WHERE polrelid = pg_class.oid AND 'ccb_backup'::regrole = ANY (polroles)
            ) AS needs_policy
        FROM pg_class
        WHERE relnamespace IN ('public'::regnamespace, 'archive'::regnamespace) AND relkind IN ('r', 'p', 'S')
          AND relowner = 'ccb_owner'::regrole
          AND (NOT has_table_privilege('ccb_backup', pg_class.oid, 'SELECT') OR relkind <> 'S' AND NOT EXISTS (
                SELECT FROM pg_policy WHERE polrelid = pg_class.oid AND 'ccb_backup'::regrole = ANY (polroles)))
        ORDER BY pg_class.oid
    LOOP
        EXECUTE format('GRANT SELECT ON %s TO ccb_backup', relation.name);
        IF relation.needs_policy THEN
            EXECUTE format('CREATE POLICY %I ON %s FOR SELECT TO ccb_backup USING (true)', relation.policy, relation.name);
        END IF;
        opened := opened + 1;
    END LOOP;
    RETURN opened;
END
$$;
COMMENT ON FUNCTION open_to_backups() IS 'Lets ccb_backup read every table where it does not bypass row level security.';
REVOKE ALL ON FUNCTION open_to_backups() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION open_to_backups() TO ccb_backup;

SET LOCAL ROLE ccb_definer;

-- only commands call it, of the version that is installed
-- squawk-ignore ban-drop-function
DROP FUNCTION record_backup(text, bigint, text, boolean);
CREATE FUNCTION record_backup(name text, size_bytes bigint, sha256 text, is_verified boolean, kind text DEFAULT 'dump') RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF session_user <> 'ccb_backup' THEN
        PERFORM expect_operator('operations:run');
    END IF;
    INSERT INTO backups (name, size_bytes, sha256, kind, verified_at)
    VALUES ($1, $2, $3, $5, CASE WHEN $4 THEN clock_timestamp() END)
    ON CONFLICT (name) DO UPDATE SET verified_at = coalesce(EXCLUDED.verified_at, backups.verified_at);
END
$$;
COMMENT ON FUNCTION record_backup(text, bigint, text, boolean, text) IS 'Called by whoever makes a backup or has restored one elsewhere.';
REVOKE ALL ON FUNCTION record_backup(text, bigint, text, boolean, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION record_backup(text, bigint, text, boolean, text) TO ccb_owner, ccb_backup;

-- made anew at once, with one column more
-- squawk-ignore ban-drop-function
DROP FUNCTION report_backups();
CREATE FUNCTION report_backups() RETURNS TABLE (
        kind text, name text, size_bytes bigint, size text, sha256 text, created_at timestamptz, verified_at timestamptz)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM expect_operator('operations:read');
    RETURN QUERY
    SELECT made.kind::text, made.name::text, made.size_bytes, pg_size_pretty(made.size_bytes), made.sha256::text,
        made.created_at, made.verified_at
    FROM backups AS made ORDER BY made.created_at DESC LIMIT 100;
END
$$;
REVOKE ALL ON FUNCTION report_backups() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION report_backups() TO authenticated_users, ccb_owner;

CREATE FUNCTION backup_gauges() RETURNS TABLE (gauge text, label text, value double precision)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT 'last_backup_age_seconds', made.kind::text,
        extract(epoch FROM clock_timestamp() - max(made.created_at))::double precision
    FROM backups AS made GROUP BY made.kind
    UNION ALL
    SELECT 'last_drill_age_seconds', made.kind::text,
        extract(epoch FROM clock_timestamp() - max(made.verified_at))::double precision
    FROM backups AS made WHERE made.verified_at IS NOT NULL GROUP BY made.kind
    UNION ALL
    SELECT 'wal_archiving_failing', NULL, (archiver.last_failed_time > coalesce(archiver.last_archived_time, '-infinity'))
        ::integer::double precision
    FROM pg_stat_archiver AS archiver WHERE current_setting('archive_mode') <> 'off' AND archiver.last_failed_time IS NOT NULL
    UNION ALL
    SELECT 'wal_archiving_age_seconds', NULL,
        extract(epoch FROM clock_timestamp() - archiver.last_archived_time)::double precision
    FROM pg_stat_archiver AS archiver WHERE current_setting('archive_mode') <> 'off' AND archiver.last_archived_time IS NOT NULL;
END
$$;
COMMENT ON FUNCTION backup_gauges() IS 'What /metrics tells of backups, by kind, and of archiving.';
REVOKE ALL ON FUNCTION backup_gauges() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION backup_gauges() TO ccb_service;

SET LOCAL ROLE ccb_owner;
