-- One INSERT for each table: run by the administrator to arrange a team's row, and by each actor to see whether it may.

-- name: api_keys
INSERT INTO api_keys (user_id, organization_id, name, key_hash, key_prefix)
VALUES (%(user_id)s, %(organization_id)s, 'key', md5(%(unique)s) || md5(%(unique)s), 'ccb_abc')

-- name: audit_logs
INSERT INTO audit_logs (user_id, organization_id, action, resource_type)
VALUES (%(user_id)s, %(organization_id)s, 'webhook.updated', 'webhook')

-- name: event_clocks
INSERT INTO event_clocks (system_identifier, relation, transaction_offset, timeline)
VALUES (1, abs(hashtext(%(unique)s))::oid, -abs(hashtext(%(unique)s)), 1)

-- name: events
INSERT INTO events (organization_id, aggregate_type, aggregate_id, event_type, event_data, version)
VALUES (%(organization_id)s, 'webhook', gen_random_uuid(), 'webhook.created', '{}', 1)

-- name: idempotency_keys
INSERT INTO idempotency_keys (user_id, route, key, request_hash, response_status, response_headers, response_body, expires_at)
VALUES (%(user_id)s, 'POST /webhooks', %(unique)s, 'hash', 201, '{}', '', 'tomorrow')

-- name: integration_dependencies
INSERT INTO integration_dependencies (organization_id, integration_id, dependency_name)
VALUES (%(organization_id)s, %(integration_id)s, %(unique)s)

-- name: integration_executions
INSERT INTO integration_executions (organization_id, integration_id, trigger_type)
VALUES (%(organization_id)s, %(integration_id)s, 'manual')

-- name: integration_health_checks
INSERT INTO integration_health_checks (organization_id, integration_id, status)
VALUES (%(organization_id)s, %(integration_id)s, 'healthy')

-- name: integration_status_transitions
INSERT INTO integration_status_transitions (from_status, to_status) VALUES (%(unique)s, 'active')

-- name: integration_templates
INSERT INTO integration_templates (id, organization_id, name, template_data, author_id, is_public)
VALUES (%(unique)s, %(organization_id)s, 'Template', '{}', %(user_id)s, false)

-- name: integration_versions
INSERT INTO integration_versions (organization_id, integration_id, version, created_by)
VALUES (%(organization_id)s, %(integration_id)s, %(unique)s, %(user_id)s)

-- name: integrations
INSERT INTO integrations (organization_id, author_id, name, service_type)
VALUES (%(organization_id)s, %(user_id)s, 'Stripe', 'rest')

-- name: login_throttles
INSERT INTO login_throttles (subject) VALUES (%(unique)s)

-- name: backups
INSERT INTO backups (name, size_bytes, sha256) VALUES (%(unique)s, 1, repeat('0', 64))

-- name: operations_samples
INSERT INTO operations_samples (name, taken_at, value) VALUES (left(%(unique)s, 50), CURRENT_TIMESTAMP, 1)

-- name: maintenance_runs
INSERT INTO maintenance_runs (task) VALUES (%(unique)s)

-- name: mail_messages
INSERT INTO mail_messages (kind, recipient, user_id) VALUES ('reset_password', %(unique)s, %(user_id)s)

-- name: metrics
INSERT INTO metrics (organization_id, user_id, metric_name, metric_type, value)
VALUES (%(organization_id)s, %(user_id)s, 'requests', 'counter', 1)

-- name: organization_invitations
INSERT INTO organization_invitations (organization_id, email, token_hash, invited_by, expires_at)
VALUES (%(organization_id)s, %(unique)s || '@example.org', md5(%(unique)s), %(user_id)s, 'tomorrow')

-- name: organization_members
INSERT INTO organization_members (organization_id, user_id, invited_by)
VALUES (%(organization_id)s, %(newcomer_id)s, %(user_id)s)

-- name: organizations
INSERT INTO organizations (name, slug) VALUES ('Team', %(unique)s)

-- name: permissions
INSERT INTO permissions (name, resource, action) VALUES (%(unique)s || ':read', %(unique)s, 'read')

-- name: rate_limits
INSERT INTO rate_limits (subject, arrival_at) VALUES (%(unique)s, 'tomorrow')

-- name: plans
INSERT INTO plans (name) VALUES (%(unique)s)

-- name: role_permissions
INSERT INTO role_permissions (role, permission_id) VALUES ('owner', %(permission_id)s)

-- name: schedule_runs
INSERT INTO schedule_runs (schedule_id, due_at, organization_id)
VALUES (%(schedule_id)s, clock_timestamp(), %(organization_id)s)

-- name: schedules
INSERT INTO schedules (organization_id, name, integration_id, cron_expression, created_by)
VALUES (%(organization_id)s, 'Hourly', %(integration_id)s, '0 * * * *', %(user_id)s)

-- name: schema_migrations
INSERT INTO schema_migrations (number, name, checksum) VALUES (hashtext(%(unique)s), 'later', 'checksum')

-- name: user_permissions
INSERT INTO user_permissions (user_id, permission) VALUES (%(user_id)s, 'operations:read')

-- name: user_sessions
INSERT INTO user_sessions (user_id, session_token, access_expires_at, expires_at)
VALUES (%(user_id)s, md5(%(unique)s) || md5(%(unique)s), 'tomorrow', 'tomorrow')

-- name: user_tokens
INSERT INTO user_tokens (token_hash, user_id, purpose, email, expires_at)
VALUES (md5(%(unique)s), %(user_id)s, 'reset_password', 'ann@example.org', 'tomorrow')

-- name: users
INSERT INTO users (id, email, name, password_hash)
VALUES (gen_random_uuid(), %(unique)s || '@example.org', 'Ann', 'hash')

-- name: webhook_deliveries
INSERT INTO webhook_deliveries (organization_id, webhook_id, event_type, payload)
VALUES (%(organization_id)s, %(webhook_id)s, 'integration.created', '{}')

-- name: webhook_delivery_leases
INSERT INTO webhook_delivery_leases (delivery_id, organization_id, webhook_id, lease_expires_at, attempt)
VALUES (md5(%(unique)s)::uuid, %(organization_id)s, %(webhook_id)s, 'tomorrow', 0)

-- name: webhook_messages
INSERT INTO webhook_messages (organization_id, webhook_id, message_id, sent_at, execution_id)
VALUES (%(organization_id)s, %(webhook_id)s, %(unique)s, CURRENT_TIMESTAMP, gen_random_uuid())

-- name: webhooks
INSERT INTO webhooks (organization_id, integration_id, url, events)
VALUES (%(organization_id)s, %(integration_id)s, 'https://example.org/' || %(unique)s, '{integration.*}')

-- name: workflow_execution_logs
INSERT INTO workflow_execution_logs (organization_id, workflow_execution_id, message)
VALUES (%(organization_id)s, %(workflow_execution_id)s, 'Asked the service')

-- name: workflow_executions
INSERT INTO workflow_executions (organization_id, workflow_id, workflow_type, triggered_by)
VALUES (%(organization_id)s, %(workflow_id)s, 'pipeline', %(user_id)s)

-- name: workflow_status_transitions
INSERT INTO workflow_status_transitions (from_status, to_status) VALUES (%(unique)s, 'pending')

-- name: workflow_step_executions
INSERT INTO workflow_step_executions (organization_id, workflow_execution_id, step_name)
VALUES (%(organization_id)s, %(workflow_execution_id)s, %(unique)s)

-- name: workflow_versions
INSERT INTO workflow_versions (organization_id, workflow_id, version_number, version, definition, created_by)
VALUES (%(organization_id)s, %(workflow_id)s, abs(hashtext(%(unique)s)), '1.0', '{}', %(user_id)s)

-- name: workflows
INSERT INTO workflows (organization_id, workflow_type, name, definition, created_by)
VALUES (%(organization_id)s, 'pipeline', 'Pipeline', '{}', %(user_id)s)
