-- A row and its parent belong to the same organization: foreign keys are checked without row level security, so one
-- between tenant tables carries organization_id on both sides, and no tenant column is left untied (ruling 12).
WITH exceptions (name, reason) AS (VALUES
    ('fk_integrations_integration_templates', 'a public template belongs to another organization; the policy refuses a hidden one'),
    ('fk_api_keys_api_keys', 'a key and its successor are their user''s')
),
untied (name, reason) AS (VALUES
    ('webhook_delivery_leases', 'the workers'' own, written by them out of the webhook''s row and gone in seconds: each claim would pay')
),
tenants AS (
    SELECT attrelid, attnum
    FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid
    WHERE attname = 'organization_id' AND NOT attisdropped
      AND relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace
)
SELECT format('%s.%I', keys.conrelid::regclass, keys.conname) AS object, 'does not carry organization_id' AS fault
FROM pg_constraint AS keys
JOIN tenants AS child ON child.attrelid = keys.conrelid
JOIN tenants AS parent ON parent.attrelid = keys.confrelid
WHERE keys.contype = 'f'
  AND keys.conname NOT IN (SELECT name FROM exceptions)
  AND (array_position(keys.conkey, child.attnum) IS NULL
      OR array_position(keys.conkey, child.attnum) IS DISTINCT FROM array_position(keys.confkey, parent.attnum))
UNION ALL
SELECT format('%s', tenants.attrelid::regclass), 'organization_id refers to nothing'
FROM tenants
WHERE tenants.attrelid::regclass::text NOT IN (SELECT name FROM untied)
  AND NOT EXISTS (
    SELECT FROM pg_constraint WHERE contype = 'f' AND conrelid = tenants.attrelid AND tenants.attnum = ANY (conkey)
)
ORDER BY 1
