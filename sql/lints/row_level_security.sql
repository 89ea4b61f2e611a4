-- Row level security is enabled and forced on every table, partitions and archived months included (ruling 7):
-- one table without it shows every tenant's rows, and without FORCE the owner's functions see them all.
SELECT format('%I.%I', namespace.nspname, relation.relname) AS object,
    CASE WHEN relation.relrowsecurity THEN 'not forced' ELSE 'not enabled' END AS fault
FROM pg_class AS relation
JOIN pg_namespace AS namespace ON namespace.oid = relation.relnamespace
WHERE namespace.nspname IN ('public', 'archive')
  AND relation.relkind IN ('r', 'p')
  AND NOT (relation.relrowsecurity AND relation.relforcerowsecurity)
  -- the migrator's memory: no tenant's data, and nobody but its owner holds a grant
  AND NOT (relation.relname = 'schema_migrations' AND NOT EXISTS (
      SELECT FROM aclexplode(relation.relacl) AS granted WHERE granted.grantee <> relation.relowner
  ))
ORDER BY 1
