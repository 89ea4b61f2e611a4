-- Backups. Run by operations/backup.py as the login of backups or the administrator, by operations/restore.py as the
-- administrator.

-- name: reading :one
-- How this login reads: past row level security, or by policies that it has to ask for.
SELECT current_user::text AS name, rolsuper OR rolbypassrls AS bypasses,
    NOT (rolsuper OR rolbypassrls) AND rolname = 'ccb_backup' AND to_regprocedure('open_to_backups()') IS NOT NULL AS has_to_ask
FROM pg_roles WHERE rolname = current_user

-- name: open_to_backups :one
-- Makes the policies that are missing, as for a month that was made since.
SELECT open_to_backups() AS opened

-- name: hidden_tables :many
-- Tables of which row level security hides rows from this login, or which it may not read: a dump would lack them, and
-- pg_dump would say nothing.
SELECT pg_class.oid::regclass::text AS name
FROM pg_class
WHERE relnamespace IN (to_regnamespace('public'), to_regnamespace('archive')) AND relkind IN ('r', 'p')
  AND (NOT has_table_privilege(pg_class.oid, 'SELECT') OR row_security_active(pg_class.oid) AND (
      NOT EXISTS (
          SELECT FROM pg_policy
          WHERE polrelid = pg_class.oid AND polpermissive AND polcmd IN ('r', '*') AND pg_get_expr(polqual, polrelid) = 'true'
            AND polroles && ARRAY[0, current_user::regrole::oid])
      OR EXISTS (
          SELECT FROM pg_policy
          WHERE polrelid = pg_class.oid AND NOT polpermissive AND polcmd IN ('r', '*')
            AND polroles && ARRAY[0, current_user::regrole::oid])))
ORDER BY 1

-- name: export_snapshot :one
-- The dump and the digests see the same moment.
SELECT pg_export_snapshot() AS snapshot

-- name: digests :many
-- Every table with its content's digest; partitions count with their parent, archived ones by themselves.
SELECT relation.oid::regclass::text AS name, content.row_count, content.digest
FROM pg_class AS relation
CROSS JOIN LATERAL table_digest(relation.oid) AS content
WHERE relation.relkind IN ('r', 'p') AND NOT relation.relispartition
  AND relation.relnamespace IN ('public'::regnamespace, 'archive'::regnamespace)
ORDER BY 1

-- name: properties :one
-- What a dump does not hold of its database: how it was made, whose it is, what is granted and set on it.
SELECT jsonb_build_object(
    'encoding', pg_encoding_to_char(encoding), 'provider', datlocprovider, 'collate', datcollate, 'ctype', datctype,
    'locale', coalesce(to_jsonb(pg_database) ->> 'datlocale', to_jsonb(pg_database) ->> 'daticulocale'),
    'owner', pg_get_userbyid(datdba), 'connection_limit', datconnlimit,
    'grants', (
        SELECT jsonb_agg(jsonb_build_object(
            'to', CASE grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(grantee) END, 'privilege', privilege_type,
            'grantable', is_grantable))
        FROM aclexplode(datacl)),
    'settings', (
        SELECT jsonb_agg(jsonb_build_object(
            'role', CASE setrole WHEN 0 THEN NULL ELSE pg_get_userbyid(setrole) END,
            'name', split_part(setting, '=', 1), 'value', substr(setting, strpos(setting, '=') + 1)))
        FROM pg_db_role_setting CROSS JOIN LATERAL unnest(setconfig) AS setting WHERE setdatabase = pg_database.oid)
) AS properties
FROM pg_database WHERE datname = current_database()

-- name: creation :one
-- The statement that makes a database with the same encoding and locale.
SELECT format('CREATE DATABASE %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L', %(name)s::text,
        known ->> 'encoding', known ->> 'collate', known ->> 'ctype')
    || CASE known ->> 'provider'
        WHEN 'i' THEN format(' LOCALE_PROVIDER icu ICU_LOCALE %L', known ->> 'locale')
        WHEN 'b' THEN format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %L', known ->> 'locale')
        ELSE ' LOCALE_PROVIDER libc'
    END AS statement
FROM (SELECT %(properties)s::jsonb AS known) AS given

-- name: endowment :many
-- The statements that give a restored database what its original had, in the session of that database. Roles that are
-- not on this server are passed over. A setting goes the way of the session, which knows what is a list.
WITH given AS (SELECT %(properties)s::jsonb AS known, current_database() AS name)
SELECT format('ALTER DATABASE %I OWNER TO %I', name, known ->> 'owner') AS statement
FROM given WHERE to_regrole(quote_ident(known ->> 'owner')) IS NOT NULL
UNION ALL
SELECT format('ALTER DATABASE %I CONNECTION LIMIT %s', name, known ->> 'connection_limit') FROM given
UNION ALL
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', name) FROM given WHERE jsonb_typeof(known -> 'grants') = 'array'
UNION ALL
SELECT format('GRANT %s ON DATABASE %I TO %s%s', granted.privilege, name, coalesce(quote_ident(granted.to), 'PUBLIC'),
    CASE WHEN granted.grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM given
CROSS JOIN LATERAL jsonb_to_recordset(nullif(known -> 'grants', 'null')) AS granted ("to" text, privilege text, grantable boolean)
WHERE granted.to IS NULL OR to_regrole(quote_ident(granted.to)) IS NOT NULL
UNION ALL
SELECT step.statement
FROM given
CROSS JOIN LATERAL jsonb_to_recordset(nullif(known -> 'settings', 'null')) AS setting (role text, name text, value text)
CROSS JOIN LATERAL (VALUES
    (1, format('SELECT set_config(%L, %L, false)', setting.name, setting.value)),
    (2, CASE WHEN setting.role IS NULL THEN format('ALTER DATABASE %I SET %I FROM CURRENT', given.name, setting.name)
        ELSE format('ALTER ROLE %I IN DATABASE %I SET %I FROM CURRENT', setting.role, given.name, setting.name) END)
) AS step (place, statement)
WHERE setting.role IS NULL OR to_regrole(quote_ident(setting.role)) IS NOT NULL

-- name: use :one
-- Whether a database is there, and who is connected to it.
SELECT EXISTS (SELECT FROM pg_database WHERE datname = %(name)s) AS is_there,
    (SELECT count(*) FROM pg_stat_activity WHERE datname = %(name)s AND pid <> pg_backend_pid()) AS connections

-- name: is_empty :one
-- Whether anything would be lost with this database.
SELECT NOT EXISTS (
    SELECT FROM pg_class
    WHERE relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_|^information_schema$')
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
) AS is_empty

-- name: cut_connections :many
-- Ahead of a swap: nobody writes into the database that is put away.
SELECT pg_terminate_backend(pid) AS is_cut FROM pg_stat_activity WHERE datname = %(name)s AND pid <> pg_backend_pid()

-- name: counts_statements :one
-- Whether the server could have pg_stat_statements, which a dump may come with.
SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements') AS counts

-- name: leftovers :many
-- Databases that a killed restore left: its scratch, and what had been replaced already.
SELECT datname AS name FROM pg_database WHERE datname ~ '^ccb_(restore|replaced)_[0-9a-f]{12}$' ORDER BY 1

-- name: has_record :one
-- Whether the database keeps a record of backups; one that is not ours, or is older, does not. And whether this login is
-- the administrator's.
SELECT to_regprocedure('record_backup(text, bigint, text, boolean, text)') IS NOT NULL AS is_there,
    coalesce(pg_has_role(to_regrole('ccb_owner'), 'MEMBER'), false) AS may_become_owner

-- name: record :exec
-- A backup that was made, or was found to be what it should.
SELECT record_backup(%(name)s, %(size_bytes)s, %(sha256)s, %(is_verified)s, %(kind)s)

-- name: leave_mark :one
-- A place in the log that the drill has to reach again.
SELECT pg_logical_emit_message(true, 'ccb_drill', '')::text AS place, clock_timestamp() AS moment

-- name: finish_segment :one
-- Has the segment that holds the mark archived now.
SELECT pg_walfile_name(pg_switch_wal()) AS segment

-- name: reached :one
-- Whether a recovery went beyond a place in the log.
SELECT pg_last_wal_replay_lsn() >= %(place)s::pg_lsn AS is_reached

-- name: recovered :one
-- The last transaction that the log brought back.
SELECT pg_last_xact_replay_timestamp() AS last_commit
