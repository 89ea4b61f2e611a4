-- violation: careless.fk_careless_users
CREATE TABLE careless (user_id uuid CONSTRAINT fk_careless_users REFERENCES users (id));
-- violation: webhooks.fk_webhooks_integrations
DROP INDEX idx_webhooks_org_integration;
