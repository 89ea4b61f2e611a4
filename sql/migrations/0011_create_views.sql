-- The document's views (rulings 9 to 11), and what answers are made of.

CREATE MATERIALIZED VIEW integration_stats AS
SELECT
    i.id,
    i.name,
    i.status,
    i.service_type,
    i.organization_id,
    COUNT(ie.id) AS total_executions,
    COUNT(ie.id) FILTER (WHERE ie.status = 'completed') AS successful_executions,
    COUNT(ie.id) FILTER (WHERE ie.status = 'failed') AS failed_executions,
    ROUND(
        COUNT(ie.id) FILTER (WHERE ie.status = 'completed')::numeric / NULLIF(COUNT(ie.id), 0) * 100, 2
    ) AS success_rate,
    AVG(ie.duration_ms) AS avg_duration_ms,
    MAX(ie.started_at) AS last_execution_at,
    i.created_at
FROM integrations AS i
LEFT JOIN integration_executions AS ie
    ON i.id = ie.integration_id AND ie.started_at > CURRENT_DATE - INTERVAL '30 days'
WHERE i.deleted_at IS NULL
GROUP BY i.id, i.name, i.status, i.service_type, i.organization_id, i.created_at;
CREATE UNIQUE INDEX idx_integration_stats_id ON integration_stats (id);
CREATE INDEX idx_integration_stats_org ON integration_stats (organization_id);
CREATE INDEX idx_integration_stats_service_type ON integration_stats (service_type);

-- Ruling 11: each side is counted before the join, or every count is the product of all.
CREATE MATERIALIZED VIEW user_activity AS
SELECT
    u.id,
    u.name,
    u.email,
    COALESCE(created.integrations, 0) AS integrations_created,
    COALESCE(executed.workflows, 0) AS workflows_executed,
    acted.last_activity_at,
    COALESCE(acted.actions, 0) AS total_actions_30d
FROM users AS u
LEFT JOIN (
    SELECT author_id, COUNT(*) AS integrations FROM integrations WHERE deleted_at IS NULL GROUP BY author_id
) AS created ON created.author_id = u.id
LEFT JOIN (
    SELECT triggered_by, COUNT(*) AS workflows FROM workflow_executions
    WHERE created_at > CURRENT_DATE - INTERVAL '30 days' GROUP BY triggered_by
) AS executed ON executed.triggered_by = u.id
LEFT JOIN (
    SELECT user_id, COUNT(*) AS actions, MAX(created_at) AS last_activity_at FROM audit_logs
    WHERE created_at > CURRENT_DATE - INTERVAL '30 days' GROUP BY user_id
) AS acted ON acted.user_id = u.id
WHERE u.deleted_at IS NULL;
CREATE UNIQUE INDEX idx_user_activity_id ON user_activity (id);

-- Materialized views know no row level security: nobody but the definer holds a grant on them, and these
-- barriers apply the tenant (ruling 10).
ALTER MATERIALIZED VIEW integration_stats OWNER TO ccb_definer;
ALTER MATERIALIZED VIEW user_activity OWNER TO ccb_definer;

CREATE VIEW integration_statistics WITH (security_barrier = true) AS
SELECT * FROM integration_stats
WHERE organization_id = ANY (ARRAY(SELECT permitted_organizations('integrations:read')));

CREATE VIEW user_activity_statistics WITH (security_barrier = true) AS
SELECT * FROM user_activity
WHERE id = current_user_id(); -- the totals span all of a person's organizations: nobody else's business

GRANT SELECT ON integration_statistics, user_activity_statistics TO authenticated_users;
-- last, because only an owner grants
ALTER VIEW integration_statistics OWNER TO ccb_definer;
ALTER VIEW user_activity_statistics OWNER TO ccb_definer;

-- LEFT JOIN users: an author who left the organization is hidden, their integration is not.
CREATE VIEW active_integrations WITH (security_invoker = true) AS
SELECT
    i.*,
    u.name AS author_name,
    u.email AS author_email,
    o.name AS organization_name,
    o.plan AS organization_plan,
    COALESCE(ie_stats.total_executions, 0) AS execution_count,
    COALESCE(ie_stats.success_rate, 0) AS success_rate
FROM integrations AS i
LEFT JOIN users AS u ON i.author_id = u.id
LEFT JOIN organizations AS o ON i.organization_id = o.id
LEFT JOIN (
    SELECT
        integration_id,
        COUNT(*) AS total_executions,
        ROUND(COUNT(*) FILTER (WHERE status = 'completed')::numeric / COUNT(*) * 100, 2) AS success_rate
    FROM integration_executions
    WHERE started_at > CURRENT_DATE - INTERVAL '7 days'
    GROUP BY integration_id
) AS ie_stats ON i.id = ie_stats.integration_id
WHERE i.status = 'active'
  AND i.deleted_at IS NULL
  AND u.deleted_at IS NULL;
GRANT SELECT ON active_integrations TO authenticated_users;

-- What an answer shows of rows that hold secrets.
CREATE VIEW user_profiles WITH (security_invoker = true) AS
SELECT id, email, name, avatar_url, preferences, email_verified_at, last_login_at, is_active, created_at, updated_at,
    deleted_at, version
FROM users;

CREATE VIEW api_key_listings WITH (security_invoker = true) AS
SELECT id, user_id, organization_id, name, key_prefix, permissions, rate_limit, last_used_at, expires_at, is_active,
    rotated_to, created_at, updated_at, deleted_at, version
FROM api_keys;

CREATE VIEW session_listings WITH (security_invoker = true) AS
SELECT id, user_id, ip_address, user_agent, id = current_session_id() AS is_current, created_at, refreshed_at, expires_at
FROM user_sessions
WHERE ended_at IS NULL AND expires_at > CURRENT_TIMESTAMP;

CREATE VIEW member_profiles WITH (security_invoker = true) AS
SELECT member.*, person.name, person.email, person.avatar_url
FROM organization_members AS member
LEFT JOIN users AS person ON person.id = member.user_id;

GRANT UPDATE ON user_profiles, api_key_listings TO authenticated_users;
GRANT SELECT ON user_profiles, api_key_listings, session_listings, member_profiles TO authenticated_users;
