-- A row of each aggregate, for random workloads.

-- name: organization_invitations
INSERT INTO organization_invitations (organization_id, email, token_hash, invited_by, expires_at)
VALUES (%(team)s, %(unique)s || '@example.org', %(unique)s, %(owner)s, 'tomorrow')

-- name: api_keys
INSERT INTO api_keys (user_id, name, key_hash, key_prefix, permissions)
VALUES (%(owner)s, 'key', %(unique)s || %(unique)s, 'ccb_abc', '{*}')

-- name: integrations
INSERT INTO integrations (organization_id, author_id, name, service_type, config)
VALUES (%(team)s, %(owner)s, 'Stripe', 'rest', '{"a": {"b": null}}')

-- name: integration_versions
INSERT INTO integration_versions (organization_id, integration_id, version, created_by)
VALUES (%(team)s, %(integrations)s, %(unique)s, %(owner)s)

-- name: integration_dependencies
INSERT INTO integration_dependencies (organization_id, integration_id, dependency_name)
VALUES (%(team)s, %(integrations)s, %(unique)s)

-- name: integration_templates
INSERT INTO integration_templates (id, organization_id, author_id, name, template_data)
VALUES (%(unique)s, %(team)s, %(owner)s, 'Template', '{}')

-- name: integration_executions
INSERT INTO integration_executions (organization_id, integration_id, trigger_type)
VALUES (%(team)s, %(integrations)s, 'manual')

-- name: workflows
INSERT INTO workflows (organization_id, workflow_type, name, definition, created_by)
VALUES (%(team)s, 'x', 'x', '{"do": []}', %(owner)s)

-- name: workflow_executions
INSERT INTO workflow_executions (organization_id, workflow_id, integration_id, workflow_type)
VALUES (%(team)s, %(workflows)s, %(integrations)s, 'x')

-- name: schedules
INSERT INTO schedules (organization_id, integration_id, name, cron_expression, created_by)
VALUES (%(team)s, %(integrations)s, 'x', '* * * * *', %(owner)s)

-- name: webhooks
INSERT INTO webhooks (organization_id, integration_id, url, events, secret)
VALUES (%(team)s, %(integrations)s, 'https://' || %(unique)s, '{integration.*,user.updated}', 'gAAAAx')
