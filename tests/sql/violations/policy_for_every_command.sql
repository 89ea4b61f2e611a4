-- violation: webhooks
DROP POLICY webhooks_update ON webhooks;
-- violation: user_tokens
GRANT SELECT ON user_tokens TO authenticated_users;
-- violation: permissions
GRANT UPDATE (description) ON permissions TO authenticated_users;
-- violation: careless
CREATE TABLE careless (organization_id uuid);
