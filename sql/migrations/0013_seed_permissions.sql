-- What there is to permit, and which role may do what (ruling 13).

INSERT INTO permissions (resource, action, name, description)
SELECT resource, action, resource || ':' || action, description
FROM (VALUES
    ('organizations', 'read', 'See an organization, its settings and limits'),
    ('organizations', 'create', 'Create organizations'),
    ('organizations', 'update', 'Change an organization''s name, slug, description and settings'),
    ('organizations', 'delete', 'Delete and restore an organization'),
    ('members', 'read', 'See who belongs to an organization'),
    ('members', 'create', 'Add and invite members'),
    ('members', 'update', 'Change members'' roles and permissions'),
    ('members', 'delete', 'Remove members'),
    ('integrations', 'read', 'See integrations, their versions and dependencies'),
    ('integrations', 'create', 'Create integrations'),
    ('integrations', 'update', 'Change integrations, their status, versions and dependencies'),
    ('integrations', 'delete', 'Delete and restore integrations, and see deleted ones'),
    ('integration_templates', 'read', 'See templates'),
    ('integration_templates', 'create', 'Create templates'),
    ('integration_templates', 'update', 'Change templates'),
    ('integration_templates', 'delete', 'Delete and restore templates, and see deleted ones'),
    ('integration_executions', 'read', 'See executions of integrations'),
    ('integration_executions', 'create', 'Start executions of integrations'),
    ('integration_executions', 'update', 'Report on and cancel executions of integrations'),
    ('workflows', 'read', 'See workflows'),
    ('workflows', 'create', 'Create workflows'),
    ('workflows', 'update', 'Change workflows'),
    ('workflows', 'delete', 'Delete and restore workflows, and see deleted ones'),
    ('workflow_executions', 'read', 'See executions of workflows and their steps'),
    ('workflow_executions', 'create', 'Start workflows'),
    ('workflow_executions', 'update', 'Cancel, suspend, resume and retry executions of workflows'),
    ('schedules', 'read', 'See schedules'),
    ('schedules', 'create', 'Create schedules'),
    ('schedules', 'update', 'Change schedules'),
    ('schedules', 'delete', 'Delete and restore schedules, and see deleted ones'),
    ('webhooks', 'read', 'See webhooks'),
    ('webhooks', 'create', 'Create webhooks'),
    ('webhooks', 'update', 'Change webhooks and rotate their secrets'),
    ('webhooks', 'delete', 'Delete and restore webhooks, and see deleted ones'),
    ('webhook_deliveries', 'read', 'See deliveries with their attempts'),
    ('webhook_deliveries', 'create', 'Send test pings'),
    ('webhook_deliveries', 'update', 'Redeliver and recover deliveries'),
    ('events', 'read', 'See events'),
    ('audit_logs', 'read', 'See and export audit logs'),
    ('metrics', 'read', 'Query metrics'),
    ('metrics', 'create', 'Write metrics'),
    ('api_keys', 'read', 'See API keys'),
    ('api_keys', 'create', 'Create API keys'),
    ('api_keys', 'update', 'Change and rotate one''s own API keys'),
    ('api_keys', 'delete', 'Revoke API keys'),
    ('worker', 'claim', 'Claim steps of workflows and report on them'),
    ('profile', 'update', 'Change one''s own profile'),
    ('sessions', 'read', 'See one''s own sessions'),
    ('sessions', 'delete', 'End one''s own sessions'),
    ('operations', 'read', 'See the state of the database; given on the command line only'),
    ('operations', 'run', 'Run maintenance; given on the command line only')
) AS known (resource, action, description);

INSERT INTO role_permissions (role, permission_id)
SELECT given.role, permissions.id
FROM permissions
JOIN (VALUES ('owner'), ('admin'), ('developer'), ('viewer')) AS given (role) ON CASE given.role
    WHEN 'owner' THEN resource NOT IN ('profile', 'sessions', 'operations') AND name <> 'organizations:create'
    WHEN 'admin' THEN resource NOT IN ('profile', 'sessions', 'operations')
        AND name NOT IN ('organizations:create', 'organizations:delete')
    WHEN 'developer' THEN
        action = 'read' AND resource NOT IN ('audit_logs', 'sessions', 'operations')
        OR action IN ('create', 'update') AND resource IN ('integrations', 'integration_templates',
            'integration_executions', 'workflows', 'workflow_executions', 'schedules', 'webhooks', 'webhook_deliveries')
        OR name IN ('metrics:create', 'api_keys:create', 'worker:claim')
    ELSE action = 'read' AND resource NOT IN ('audit_logs', 'api_keys', 'sessions', 'operations')
END;
