-- The schema as it stands, out of the catalogue. Used by database/snapshot.py.

-- name: pin :exec
-- Names and times come out the same wherever they are read.
SELECT set_config('search_path', 'public', false), set_config('timezone', 'UTC', false)

-- name: statements :many
-- One row for each object and each thing said of it, in an order that no oid decides; alike on PostgreSQL 15 to 18.
WITH relations AS (
    SELECT pg_class.*, quote_ident(relname) AS name
    FROM pg_class
    WHERE relnamespace IN ('public'::regnamespace, 'archive'::regnamespace) AND relkind IN ('r', 'p', 'v', 'm', 'S')
      AND relname <> 'schema_migrations'
),
columns AS (
    SELECT attrelid, attnum,
        quote_ident(attname) || ' ' || format_type(atttypid, atttypmod)
            || coalesce(' DEFAULT ' || pg_get_expr(adbin, adrelid), '')
            || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END AS definition
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attnum > 0 AND NOT attisdropped
),
grants AS (
    SELECT oid, NULL::name AS attname, grantee, privilege_type FROM relations, aclexplode(relacl) WHERE grantee <> relowner
    UNION ALL
    SELECT oid, attname, grantee, privilege_type FROM relations JOIN pg_attribute ON attrelid = oid, aclexplode(attacl)
    WHERE grantee <> relowner
),
parts (kind, object, part, item, statement) AS (
    SELECT 1, nspname::text, 0, '', format('CREATE SCHEMA %I AUTHORIZATION %I;', nspname, nspowner::regrole::text)
    FROM pg_namespace WHERE nspname = 'archive'
    UNION ALL
    SELECT 2, name, 0, '', format('CREATE SEQUENCE %s AS %s;', name, format_type(seqtypid, NULL))
    FROM relations JOIN pg_sequence ON seqrelid = oid
    UNION ALL
    SELECT 3, name, 0, '', format(E'CREATE%s TABLE %s (\n    %s\n)%s%s;',
        CASE relpersistence WHEN 'u' THEN ' UNLOGGED' ELSE '' END, name,
        (SELECT string_agg(line, E',\n    ' ORDER BY place, line) FROM (
            SELECT attnum AS place, definition AS line FROM columns WHERE attrelid = relations.oid
            UNION ALL
            SELECT 10000 + strpos('pufcx', contype::text), format('CONSTRAINT %I %s', conname, pg_get_constraintdef(oid))
            FROM pg_constraint WHERE conrelid = relations.oid AND contype IN ('p', 'u', 'f', 'c', 'x')
        ) AS lines),
        coalesce(' PARTITION BY ' || CASE relkind WHEN 'p' THEN pg_get_partkeydef(oid) END, ''),
        coalesce(' WITH (' || array_to_string(reloptions, ', ') || ')', ''))
    FROM relations WHERE relkind IN ('r', 'p') AND NOT relispartition
    UNION ALL
    SELECT 3, inhparent::regclass::text, 1, name,
        format('CREATE TABLE %s PARTITION OF %s %s;', name, inhparent::regclass, pg_get_expr(relpartbound, oid))
    FROM relations JOIN pg_inherits ON inhrelid = oid WHERE relispartition
    UNION ALL
    -- from PostgreSQL 16 on a view of one table names its columns without it: left out, so that all say the same
    SELECT 5, name, 0, '', format(E'CREATE %sVIEW %s%s AS\n%s',
        CASE relkind WHEN 'm' THEN 'MATERIALIZED ' ELSE '' END, name,
        coalesce(' WITH (' || array_to_string(reloptions, ', ') || ')', ''),
        regexp_replace(pg_get_viewdef(oid), '\m[a-z_]+\.(?=[a-z_"*])', '', 'g'))
    FROM relations WHERE relkind IN ('v', 'm')
    UNION ALL
    SELECT CASE relkind WHEN 'm' THEN 5 ELSE 3 END, name, 2, indexrelid::regclass::text, pg_get_indexdef(indexrelid) || ';'
    FROM relations JOIN pg_index ON indrelid = oid
    WHERE NOT relispartition AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
    UNION ALL
    SELECT 3, coalesce(inhparent::regclass::text, name), 3, name, format('ALTER TABLE %s %s ROW LEVEL SECURITY;', name, mode)
    FROM relations LEFT JOIN pg_inherits ON inhrelid = oid
    CROSS JOIN LATERAL (VALUES ('ENABLE', relrowsecurity), ('FORCE', relforcerowsecurity)) AS modes (mode, is_so)
    WHERE relkind IN ('r', 'p') AND is_so
    UNION ALL
    SELECT 3, name, 4, polname::text, format(E'CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s;', polname, name,
        CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
        CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
        (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE role::regrole::text END, ', ' ORDER BY 1) FROM unnest(polroles) AS role),
        coalesce(E'\n    USING (' || regexp_replace(pg_get_expr(polqual, polrelid), '\s+', ' ', 'g') || ')', ''),
        coalesce(E'\n    WITH CHECK (' || regexp_replace(pg_get_expr(polwithcheck, polrelid), '\s+', ' ', 'g') || ')', ''))
    FROM relations JOIN pg_policy ON polrelid = relations.oid
    UNION ALL
    SELECT CASE WHEN relkind IN ('v', 'm') THEN 5 WHEN relkind = 'S' THEN 2 ELSE 3 END, name, 5, grantee::regrole::text,
        format('GRANT %s ON %s TO %s;', string_agg(privilege, ', ' ORDER BY privilege), name, grantee::regrole)
    FROM relations JOIN LATERAL (
        SELECT grantee, privilege_type || coalesce(' (' || string_agg(quote_ident(attname), ', ' ORDER BY attname) || ')', '') AS privilege
        FROM grants WHERE grants.oid = relations.oid GROUP BY grantee, privilege_type, attname IS NULL
    ) AS granted ON true
    GROUP BY relkind, name, grantee
    UNION ALL
    SELECT 3, name, 6, tgname::text, pg_get_triggerdef(pg_trigger.oid, true) || ';'
    FROM relations JOIN pg_trigger ON tgrelid = relations.oid WHERE NOT tgisinternal AND NOT relispartition
    UNION ALL
    SELECT CASE WHEN relkind IN ('v', 'm') THEN 5 ELSE 3 END, name, 7, lpad(objsubid::text, 4, '0'), format('COMMENT ON %s IS %L;',
        CASE objsubid WHEN 0 THEN 'TABLE ' || name ELSE 'COLUMN ' || name || '.' || quote_ident(attname) END, description)
    FROM relations JOIN pg_description ON objoid = oid AND classoid = 'pg_class'::regclass
    LEFT JOIN pg_attribute ON attrelid = oid AND attnum = objsubid
    UNION ALL
    SELECT CASE WHEN relkind IN ('v', 'm') THEN 5 ELSE 3 END, name, 8, '', format('ALTER TABLE %s OWNER TO %s;', name, relowner::regrole)
    FROM relations WHERE relowner <> 'ccb_owner'::regrole
    UNION ALL
    SELECT 4, signature, 0, '', btrim(pg_get_functiondef(pg_proc.oid), E'\n') || ';'
    FROM pg_proc CROSS JOIN LATERAL (SELECT pg_proc.oid::regprocedure::text AS signature) AS named
    WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT 4, pg_proc.oid::regprocedure::text, 1, '', format('GRANT EXECUTE ON FUNCTION %s TO %s;', pg_proc.oid::regprocedure,
        string_agg(CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, ', ' ORDER BY grantee::regrole::text))
    FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner)))
    WHERE pronamespace = 'public'::regnamespace AND grantee <> proowner
    GROUP BY pg_proc.oid
    UNION ALL
    SELECT 4, pg_proc.oid::regprocedure::text, 2, '',
        format('ALTER FUNCTION %s OWNER TO %s;', pg_proc.oid::regprocedure, proowner::regrole)
    FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proowner <> 'ccb_owner'::regrole
    UNION ALL
    SELECT 4, objoid::regprocedure::text, 3, '', format('COMMENT ON FUNCTION %s IS %L;', objoid::regprocedure, description)
    FROM pg_description JOIN pg_proc ON pg_proc.oid = objoid AND classoid = 'pg_proc'::regclass
    WHERE pronamespace = 'public'::regnamespace
)
SELECT kind, object, statement FROM parts
ORDER BY kind, object COLLATE "C", part, item COLLATE "C", statement COLLATE "C"
