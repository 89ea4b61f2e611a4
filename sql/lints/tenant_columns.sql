-- Every table has organization_id UUID NOT NULL, the tenant key of every policy and every list's index (ruling 12).
-- The exceptions are these.
WITH exceptions (name, may_be_null, reason) AS (VALUES
    ('users', false, 'people stand above organizations'),
    ('organizations', false, 'the tenant itself'),
    ('user_sessions', false, 'a person''s'),
    ('user_tokens', false, 'a person''s'),
    ('user_permissions', false, 'operators stand above organizations'),
    ('mail_messages', false, 'to an address, which may be nobody''s'),
    ('idempotency_keys', false, 'a person''s'),
    ('permissions', false, 'the same for everybody'),
    ('role_permissions', false, 'the same for everybody'),
    ('plans', false, 'the same for everybody'),
    ('integration_status_transitions', false, 'the same for everybody'),
    ('workflow_status_transitions', false, 'the same for everybody'),
    ('rate_limits', false, 'named by the hash of a credential'),
    ('login_throttles', false, 'before anybody is known'),
    ('maintenance_runs', false, 'the operators'''),
    ('backups', false, 'the operators'''),
    ('operations_samples', false, 'the operators'''),
    ('event_clocks', false, 'the database''s own'),
    ('schema_migrations', false, 'the migrator''s'),
    ('api_keys', true, 'NULL reaches all of its owner''s organizations'),
    ('integration_templates', true, 'NULL for built-in templates'),
    ('events', true, 'NULL for events of built-in templates'),
    ('audit_logs', true, 'NULL for what belongs to no tenant, such as a failed login with an unknown address'),
    ('metrics', true, 'NULL for the system''s own measurements')
)
SELECT format('%I', relation.relname) AS object,
    CASE WHEN tenant.attname IS NULL THEN 'no organization_id'
        WHEN tenant.atttypid <> 'uuid'::regtype THEN 'organization_id is not a uuid'
        ELSE 'organization_id may be NULL' END AS fault
FROM pg_class AS relation
LEFT JOIN pg_attribute AS tenant
    ON tenant.attrelid = relation.oid AND tenant.attname = 'organization_id' AND NOT tenant.attisdropped
LEFT JOIN exceptions ON exceptions.name = relation.relname
WHERE relation.relnamespace = 'public'::regnamespace
  AND relation.relkind IN ('r', 'p')
  AND NOT relation.relispartition
  AND CASE
      WHEN exceptions.name IS NULL
          THEN tenant.attname IS NULL OR tenant.atttypid <> 'uuid'::regtype OR NOT tenant.attnotnull
      WHEN exceptions.may_be_null THEN tenant.attname IS NULL OR tenant.atttypid <> 'uuid'::regtype
      ELSE false
  END
ORDER BY 1
