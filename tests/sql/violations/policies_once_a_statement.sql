-- violation: webhooks.webhooks_select
DROP POLICY webhooks_select ON webhooks;
CREATE POLICY webhooks_select ON webhooks FOR SELECT TO authenticated_users
    USING (organization_id IN (SELECT permitted_organizations('webhooks:read')));
-- violation: webhooks.webhooks_select
DROP POLICY webhooks_select ON webhooks;
CREATE POLICY webhooks_select ON webhooks FOR SELECT TO authenticated_users
    USING (role_rank(id::text) > 1);
