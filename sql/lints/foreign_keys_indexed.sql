-- Every foreign key is indexed on the referencing side, its columns leading in whatever order: otherwise each delete
-- or key change of a parent, and each join down from it, reads the whole child.
SELECT format('%s.%I', keys.conrelid::regclass, keys.conname) AS object, 'no index leads with its columns' AS fault
FROM pg_constraint AS keys
WHERE keys.contype = 'f'
  AND keys.conparentid = 0
  AND keys.connamespace = 'public'::regnamespace
  AND NOT EXISTS (
      SELECT FROM pg_index AS candidate
      WHERE candidate.indrelid = keys.conrelid
        AND candidate.indisvalid
        AND candidate.indpred IS NULL
        AND (string_to_array(candidate.indkey::text, ' ')::smallint[])[1:cardinality(keys.conkey)] @> keys.conkey
  )
ORDER BY 1
