-- violation: webhooks
CREATE POLICY careless ON webhooks FOR SELECT TO authenticated_users USING (true);
-- violation: webhooks
CREATE POLICY careless ON webhooks FOR ALL TO authenticated_users USING (true);
-- violation: webhooks
CREATE POLICY careless ON webhooks FOR UPDATE USING (true);
