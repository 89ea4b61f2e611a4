-- No role of the service is a superuser, bypasses row level security, makes roles or databases, or can become one
-- that does or that owns the tables. The login of maintenance does become the owner, and nothing else.
SELECT role.rolname AS object, faults.fault
FROM pg_roles AS role
CROSS JOIN LATERAL (VALUES
    ('is a superuser', role.rolsuper),
    ('bypasses row level security', role.rolbypassrls),
    ('creates roles', role.rolcreaterole),
    ('creates databases', role.rolcreatedb),
    -- the observer inherits the statistics, and nothing else
    ('inherits what its roles may do', role.rolinherit AND (role.rolname <> 'ccb_observer' OR EXISTS (
        SELECT FROM pg_auth_members WHERE member = role.oid AND roleid::regrole::text <> 'pg_read_all_stats'))),
    ('can become the owner or the definer', role.rolname NOT IN ('ccb_owner', 'ccb_definer', 'ccb_maintainer')
        AND (pg_has_role(role.oid, 'ccb_owner', 'MEMBER') OR pg_has_role(role.oid, 'ccb_definer', 'MEMBER')))
) AS faults (fault, is_so)
WHERE role.rolname IN ('ccb_service', 'ccb_worker', 'authenticated_users', 'ccb_definer', 'ccb_owner', 'ccb_observer',
    'ccb_maintainer')
  AND faults.is_so
ORDER BY 1, 2
