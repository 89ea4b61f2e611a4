-- No index repeats another one, or only the first columns of another btree: each costs every write and serves no
-- query that the longer one does not (ruling 28).
WITH exceptions (name, reason) AS (VALUES
    ('idx_executions_integration', 'named by the document')
),
indexes AS (
    SELECT indexrelid, indrelid, indisunique,
        string_to_array(indkey::text, ' ') AS columns, indclass::text AS classes, named.relam,
        coalesce(pg_get_expr(indpred, indrelid), '') AS predicate,
        coalesce(pg_get_expr(indexprs, indrelid), '') AS expressions, indnatts AS width
    FROM pg_index
    JOIN pg_class AS named ON named.oid = indexrelid
    JOIN pg_class AS relation ON relation.oid = indrelid
    WHERE named.relnamespace = 'public'::regnamespace AND NOT relation.relispartition
)
SELECT shorter.indexrelid::regclass::text AS object, format('%s does what it does', longer.indexrelid::regclass) AS fault
FROM indexes AS shorter
JOIN indexes AS longer ON longer.indrelid = shorter.indrelid AND longer.indexrelid <> shorter.indexrelid
    AND longer.relam = shorter.relam AND longer.predicate = shorter.predicate
WHERE shorter.indexrelid::regclass::text NOT IN (SELECT name FROM exceptions)
  AND CASE
      WHEN shorter.width = longer.width
          THEN (shorter.columns, shorter.expressions, shorter.classes) = (longer.columns, longer.expressions, longer.classes)
              AND (shorter.indisunique < longer.indisunique
                  OR shorter.indisunique = longer.indisunique AND shorter.indexrelid > longer.indexrelid)
      ELSE NOT shorter.indisunique
          AND shorter.width < longer.width
          AND shorter.expressions = '' AND longer.expressions = ''
          AND (SELECT amname FROM pg_am WHERE oid = shorter.relam) = 'btree'
          AND longer.columns[1:shorter.width] = shorter.columns
  END
ORDER BY 1, 2
