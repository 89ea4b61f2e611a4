-- Executions of integrations, partitioned by the month in which they started.

-- name: get :maybe integration_executions:read
-- By id alone: one look into the primary key of each partition, of which retention leaves about ten.
SELECT * FROM integration_executions
WHERE id = %(execution_id)s

-- name: list :page integration_executions:read
-- sort: started_at
-- sized: trigger_data, result, error_message
-- Of all integrations. Every filter may be left out; bounds of time, also those left out, prune partitions.
SELECT * FROM integration_executions
WHERE (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(trigger_type)s::text IS NULL OR trigger_type = %(trigger_type)s)
  AND started_at >= coalesce(%(started_after)s::timestamptz, '-infinity')
  AND started_at < coalesce(%(started_before)s::timestamptz, 'infinity')

-- name: list_of_integration :page integration_executions:read
-- sort: started_at
-- sized: trigger_data, result, error_message
-- The same of one integration, by an index of its own: among all of a tenant's, those of a quiet one are far apart.
SELECT * FROM integration_executions
WHERE integration_id = %(integration_id)s
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(trigger_type)s::text IS NULL OR trigger_type = %(trigger_type)s)
  AND started_at >= coalesce(%(started_after)s::timestamptz, '-infinity')
  AND started_at < coalesce(%(started_before)s::timestamptz, 'infinity')

-- name: create :maybe integration_executions:create
-- By hand, in the integration's organization; the database refuses what does not run any more.
INSERT INTO integration_executions (organization_id, integration_id, trigger_type, trigger_data, status)
SELECT organization_id, id, 'manual', %(trigger_data)s, %(status)s
FROM integrations
WHERE id = %(integration_id)s AND deleted_at IS NULL
RETURNING *

-- name: set_status :maybe integration_executions:update
-- Triggers refuse what execution_statuses_after() does not know, and fill completed_at and duration_ms.
UPDATE integration_executions SET status = %(status)s, result = coalesce(%(result)s::jsonb, result),
    error_message = coalesce(%(error_message)s::text, error_message), duration_ms = coalesce(%(duration_ms)s::integer, duration_ms)
WHERE id = %(execution_id)s
  AND (%(versions)s::integer[] IS NULL OR version = ANY (%(versions)s))
RETURNING *
