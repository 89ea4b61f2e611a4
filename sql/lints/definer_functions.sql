-- A SECURITY DEFINER function pins its search_path, with pg_temp last, and is not executable by PUBLIC: otherwise
-- its caller's tables stand in for ours, with its owner's powers.
SELECT functions.oid::regprocedure::text AS object, faults.fault
FROM pg_proc AS functions
CROSS JOIN LATERAL (VALUES
    ('search_path is not pinned', NOT EXISTS (
        SELECT FROM unnest(functions.proconfig) AS setting WHERE setting ~ '^search_path=.*pg_temp"?$')),
    ('PUBLIC may execute it', functions.proacl IS NULL OR EXISTS (
        SELECT FROM aclexplode(functions.proacl) AS granted WHERE granted.grantee = 0)),
    ('a superuser owns it', (SELECT rolsuper FROM pg_roles WHERE oid = functions.proowner))
) AS faults (fault, is_so)
WHERE functions.prosecdef
  AND functions.pronamespace IN ('public'::regnamespace, 'archive'::regnamespace)
  AND faults.is_so
ORDER BY 1, 2
