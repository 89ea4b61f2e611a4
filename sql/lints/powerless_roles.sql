-- No role of the service is a superuser, bypasses row level security, makes roles or databases, or can become one
-- that does or that owns the tables. The login of maintenance does become the owner, and nothing else; that of backups
-- reads everything, which is what it is for, and nobody else can become it.
SELECT role.rolname AS object, faults.fault
FROM pg_roles AS role
CROSS JOIN LATERAL (VALUES
    ('is a superuser', role.rolsuper),
    ('bypasses row level security', role.rolbypassrls AND role.rolname <> 'ccb_backup'),
    ('creates roles', role.rolcreaterole),
    ('creates databases', role.rolcreatedb),
    ('replicates', role.rolreplication),
    -- the observer inherits the statistics, the login of backups what is written, and nothing else
    ('inherits what its roles may do', role.rolinherit AND NOT EXISTS (
        SELECT FROM (VALUES ('ccb_observer', 'pg_read_all_stats'), ('ccb_backup', 'pg_read_all_data')) AS single (name, inherited)
        WHERE single.name = role.rolname AND NOT EXISTS (
            SELECT FROM pg_auth_members WHERE member = role.oid AND roleid::regrole::text <> single.inherited))),
    ('can become who reads everything', role.rolname <> 'ccb_backup' AND pg_has_role(role.oid, 'ccb_backup', 'MEMBER')),
    ('reads all data', role.rolname <> 'ccb_backup' AND pg_has_role(role.oid, 'pg_read_all_data', 'MEMBER')),
    ('can become the owner or the definer', role.rolname NOT IN ('ccb_owner', 'ccb_definer', 'ccb_maintainer')
        AND (pg_has_role(role.oid, 'ccb_owner', 'MEMBER') OR pg_has_role(role.oid, 'ccb_definer', 'MEMBER')))
) AS faults (fault, is_so)
WHERE role.rolname IN ('ccb_service', 'ccb_worker', 'authenticated_users', 'ccb_definer', 'ccb_owner', 'ccb_observer',
    'ccb_maintainer', 'ccb_backup')
  AND faults.is_so
ORDER BY 1, 2
