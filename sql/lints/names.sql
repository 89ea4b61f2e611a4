-- Constraints and indexes are named as the document asks (ruling 28): pk_{table}, fk_{table}_{referenced table},
-- uq_{table}_…, ck_{table}_…, idx_…; errors are told apart by these names in database/translation.py.
SELECT format('%s.%I', conrelid::regclass, conname) AS object, 'should be named ' || wanted.name AS fault
FROM pg_constraint
JOIN pg_class AS relation ON relation.oid = conrelid
CROSS JOIN LATERAL (
    SELECT CASE contype
        WHEN 'p' THEN 'pk_' || relation.relname
        WHEN 'f' THEN 'fk_' || relation.relname || '_' || confrelid::regclass
        WHEN 'u' THEN 'uq_' || relation.relname || '_…'
        WHEN 'c' THEN 'ck_' || relation.relname || '_…'
        WHEN 'x' THEN 'ex_' || relation.relname || '_…'
    END AS name
) AS wanted
WHERE connamespace = 'public'::regnamespace
  AND NOT relation.relispartition
  AND contype IN ('p', 'f', 'u', 'c', 'x')
  AND CASE
      WHEN contype = 'p' THEN conname <> wanted.name
      -- a second reference to the same table is told apart by its column
      WHEN contype = 'f' THEN conname <> wanted.name AND NOT starts_with(conname, wanted.name || '_')
      ELSE NOT starts_with(conname, rtrim(wanted.name, '…'))
  END
UNION ALL
SELECT format('%I', relname), 'has no primary key'
FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = pg_class.oid AND contype = 'p')
UNION ALL
SELECT format('%I', named.relname), 'should be named idx_… or uq_…'
FROM pg_index
JOIN pg_class AS named ON named.oid = indexrelid
JOIN pg_class AS relation ON relation.oid = indrelid
WHERE named.relnamespace = 'public'::regnamespace
  AND NOT relation.relispartition
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
  AND CASE WHEN indisunique THEN named.relname !~ '^(uq|idx)_' ELSE named.relname !~ '^idx_' END
ORDER BY 1
