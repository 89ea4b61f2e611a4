-- No grant on a partition, an archived month or a materialized view to a role of the service: a partition named
-- directly has none of its parent's policies, and a materialized view can have none (rulings 7 and 10). The login of backups
-- may read, where it does not read everything anyway (open_to_backups()).
SELECT relation.oid::regclass::text AS object,
    format('%s to %s', granted.privilege_type, CASE granted.grantee WHEN 0 THEN 'PUBLIC' ELSE granted.grantee::regrole::text END) AS fault
FROM pg_class AS relation
CROSS JOIN LATERAL aclexplode(relation.relacl) AS granted
WHERE (
        relation.relkind = 'm' AND relation.relnamespace = 'public'::regnamespace
        OR relation.relispartition AND relation.relkind = 'r'
        OR relation.relnamespace = 'archive'::regnamespace
    )
  AND granted.grantee <> relation.relowner
  AND (granted.grantee <> 'ccb_backup'::regrole OR granted.privilege_type <> 'SELECT')
ORDER BY 1, 2
