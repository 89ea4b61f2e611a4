-- Every table whose rows change has updated_at, an integer row version and the trigger that raises them (ruling 5):
-- ETags, events and If-Match hang on it.
WITH exceptions (name, reason) AS (VALUES
    ('idempotency_keys', 'an answer is kept as it is; one that has expired is replaced whole'),
    ('login_throttles', 'a counter that nobody reads by version'),
    ('rate_limits', 'a counter that nobody reads by version'),
    ('user_tokens', 'used once'),
    ('maintenance_runs', 'a run ends once')
), conditions (name, reason) AS (VALUES
    ('webhook_deliveries', 'the report of an attempt raises the version by itself')
)
SELECT format('%I', relation.relname) AS object, faults.fault
FROM pg_class AS relation
CROSS JOIN LATERAL (VALUES
    ('no trigger of update_timestamp() before each row''s UPDATE', NOT EXISTS (
        SELECT FROM pg_trigger
        WHERE tgrelid = relation.oid AND tgfoid = 'update_timestamp'::regproc AND tgenabled = 'O'
          AND tgtype & 19 = 19 AND (tgqual IS NULL OR relation.relname IN (SELECT name FROM conditions))
          AND (cardinality(tgattr::smallint[]) = 0 OR NOT EXISTS ( -- of all columns, or of all but bookkeeping
              SELECT FROM pg_attribute
              WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped
                AND attnum <> ALL (tgattr::smallint[]) AND attname <> ALL (bookkeeping_columns(relation.relname)))))),
    ('no integer row version', NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = relation.oid AND attname IN ('version', 'version_number') AND atttypid = 'integer'::regtype
          AND attnotnull AND NOT attisdropped)),
    ('no updated_at', NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = relation.oid AND attname = 'updated_at' AND attnotnull AND NOT attisdropped))
) AS faults (fault, is_so)
WHERE relation.relnamespace = 'public'::regnamespace
  AND relation.relkind IN ('r', 'p')
  AND NOT relation.relispartition
  AND faults.is_so
  AND relation.relname NOT IN (SELECT name FROM exceptions)
  AND (
      EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation.oid AND attname = 'updated_at' AND NOT attisdropped)
      OR has_any_column_privilege('authenticated_users', relation.oid, 'UPDATE')
      OR has_any_column_privilege('ccb_worker', relation.oid, 'UPDATE')
  )
ORDER BY 1, 2
