-- One permissive policy for each table, role and command: several are joined with OR, so the widest wins and none of
-- them can be read by itself.
SELECT format('%I', first.polrelid::regclass::text) AS object,
    format('%I and %I both apply to %s', first.polname, second.polname, shared.role) AS fault
FROM pg_policy AS first
JOIN pg_policy AS second ON second.polrelid = first.polrelid AND second.oid > first.oid
    AND (second.polcmd = first.polcmd OR '*' IN (first.polcmd, second.polcmd))
CROSS JOIN LATERAL (
    SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE role::regrole::text END, ', ') AS role
    FROM (
        SELECT role FROM unnest(first.polroles) AS role WHERE role = ANY (second.polroles) OR second.polroles = '{0}'
        UNION
        SELECT role FROM unnest(second.polroles) AS role WHERE first.polroles = '{0}'
    ) AS roles
) AS shared
WHERE first.polpermissive AND second.polpermissive AND shared.role IS NOT NULL
ORDER BY 1, 2
