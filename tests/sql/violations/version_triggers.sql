-- violation: webhooks
DROP TRIGGER trigger_webhooks_updated_at ON webhooks;
-- violation: webhooks
DROP TRIGGER trigger_webhooks_updated_at ON webhooks;
CREATE TRIGGER trigger_webhooks_updated_at BEFORE UPDATE OF url ON webhooks
    FOR EACH ROW EXECUTE FUNCTION update_timestamp();
-- violation: webhooks
ALTER TABLE webhooks DISABLE TRIGGER trigger_webhooks_updated_at;
-- violation: schedule_runs
GRANT UPDATE ON schedule_runs TO authenticated_users;
-- violation: careless
CREATE TABLE careless (id integer, version text NOT NULL, updated_at timestamptz NOT NULL);
CREATE TRIGGER trigger_careless_updated_at BEFORE UPDATE ON careless FOR EACH ROW EXECUTE FUNCTION update_timestamp();
-- violation: organizations
ALTER TABLE organizations ADD COLUMN motto text;
