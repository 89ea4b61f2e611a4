-- Every command that is granted has a policy, and a tenant table has one for each of the four commands, if only to
-- say false: a missing policy refuses silently, and reads as an oversight (ruling 6).
WITH commands (letter, name) AS (VALUES ('r', 'SELECT'), ('a', 'INSERT'), ('w', 'UPDATE'), ('d', 'DELETE')),
tables AS (
    SELECT oid, relname, relowner, relacl, EXISTS (
        SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'organization_id' AND NOT attisdropped
    ) AS is_tenant
    FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
),
grants AS (
    SELECT tables.oid, granted.grantee, granted.privilege_type
    FROM tables CROSS JOIN LATERAL aclexplode(tables.relacl) AS granted
    WHERE granted.grantee <> tables.relowner
    UNION
    SELECT tables.oid, granted.grantee, granted.privilege_type
    FROM tables
    JOIN pg_attribute ON attrelid = tables.oid AND attacl IS NOT NULL
    CROSS JOIN LATERAL aclexplode(attacl) AS granted
    WHERE granted.grantee <> tables.relowner
),
wanted AS (
    SELECT oid, grantee, privilege_type AS command FROM grants
    UNION
    SELECT tables.oid, 'authenticated_users'::regrole, commands.name FROM tables CROSS JOIN commands WHERE is_tenant
)
SELECT format('%I', tables.relname) AS object,
    format('no policy for %s to %s', wanted.command, CASE wanted.grantee WHEN 0 THEN 'PUBLIC' ELSE wanted.grantee::regrole::text END) AS fault
FROM wanted
JOIN tables ON tables.oid = wanted.oid
JOIN commands ON commands.name = wanted.command
WHERE NOT EXISTS (
    SELECT FROM pg_policy AS policy
    WHERE policy.polrelid = wanted.oid
      AND policy.polcmd IN (commands.letter::"char", '*')
      AND (wanted.grantee = ANY (policy.polroles) OR policy.polroles = '{0}')
)
ORDER BY 1, 2
