-- The logins of the service hold no grants on tables, sequences or views: whatever forgets to take the role of a user
-- sees nothing. Neither does PUBLIC. The exceptions are these.
WITH exceptions (relation, grantee, reason) AS (VALUES
    ('maintenance_runs', 'ccb_worker', 'it notes its runs, which belong to no tenant')
)
SELECT relation.oid::regclass::text AS object,
    format('%s to %s', granted.privilege_type, CASE granted.grantee WHEN 0 THEN 'PUBLIC' ELSE granted.grantee::regrole::text END) AS fault
FROM pg_class AS relation
LEFT JOIN pg_attribute ON attrelid = relation.oid AND attacl IS NOT NULL
CROSS JOIN LATERAL (
    SELECT * FROM aclexplode(relation.relacl) UNION ALL SELECT * FROM aclexplode(attacl)
) AS granted
WHERE relation.relnamespace IN ('public'::regnamespace, 'archive'::regnamespace)
  AND relation.relkind IN ('r', 'p', 'v', 'm', 'S')
  AND granted.grantee IN (0, 'ccb_service'::regrole, 'ccb_worker'::regrole, 'ccb_maintainer'::regrole)
  AND NOT EXISTS (
      SELECT FROM exceptions
      WHERE exceptions.relation = relation.relname AND granted.grantee <> 0
        AND exceptions.grantee = granted.grantee::regrole::text
  )
ORDER BY 1, 2
