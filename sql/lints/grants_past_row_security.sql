-- No grant on a partition, an archived month or a materialized view to a role of the service: a partition named
-- directly has none of its parent's policies, and a materialized view can have none (rulings 7 and 10).
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
ORDER BY 1, 2
