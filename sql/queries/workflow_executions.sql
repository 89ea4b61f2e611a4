-- Executions of workflows. workflow_execution_listings leaves out the leases: who has one may answer for its work.

-- name: get :maybe workflow_executions:read
-- One that the caller may see.
SELECT * FROM workflow_execution_listings
WHERE id = %(execution_id)s

-- name: list :page workflow_executions:read
-- sort: created_at, updated_at
-- sized: error_message
-- Without input and result, of which a page would be megabytes.
SELECT id, organization_id, workflow_id, workflow_version_number, workflow_type, status, error_message, progress,
    integration_id, triggered_by, started_at, completed_at, cancel_requested_at, suspend_requested_at, run_after,
    attempt, created_at, updated_at, version
FROM workflow_execution_listings
WHERE (%(workflow_id)s::uuid IS NULL OR workflow_id = %(workflow_id)s)
  AND (%(integration_id)s::uuid IS NULL OR integration_id = %(integration_id)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(workflow_type)s::text IS NULL OR workflow_type = %(workflow_type)s)
  AND (%(triggered_by)s::uuid IS NULL OR triggered_by = %(triggered_by)s)
  AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)

-- name: list_of_workflow :page workflow_executions:read
-- sort: created_at
-- sized: error_message
-- The same of one workflow, by an index of its own: among all of a tenant's, those of a quiet one are far apart.
SELECT id, organization_id, workflow_id, workflow_version_number, workflow_type, status, error_message, progress,
    integration_id, triggered_by, started_at, completed_at, cancel_requested_at, suspend_requested_at, run_after,
    attempt, created_at, updated_at, version
FROM workflow_execution_listings
WHERE workflow_id = %(workflow_id)s
  AND (%(integration_id)s::uuid IS NULL OR integration_id = %(integration_id)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(workflow_type)s::text IS NULL OR workflow_type = %(workflow_type)s)
  AND (%(triggered_by)s::uuid IS NULL OR triggered_by = %(triggered_by)s)
  AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)

-- name: startable :maybe workflows:read
-- What a start asks of the workflow: whether it is active, and what its input must be like.
SELECT id, is_active, definition_version, definition #> '{input,schema,document}' AS input_schema FROM workflows
WHERE id = %(workflow_id)s AND deleted_at IS NULL

-- name: start :maybe workflow_executions:create
-- Of the version that the input was checked against.
INSERT INTO workflow_execution_listings
    (organization_id, workflow_id, workflow_version_number, workflow_type, input_parameters, integration_id, triggered_by)
SELECT organization_id, id, %(workflow_version_number)s, workflow_type, coalesce(%(input_parameters)s::jsonb, '{}'),
    %(integration_id)s, current_user_id()
FROM workflows
WHERE id = %(workflow_id)s AND is_active AND deleted_at IS NULL
RETURNING *

-- name: lock :maybe workflow_executions:update
-- Ahead of a move, so that what is refused is what is there.
SELECT id, status FROM workflow_executions
WHERE id = %(execution_id)s
FOR NO KEY UPDATE

-- name: allowed_statuses :many
-- Where an execution can go from a status.
SELECT to_status FROM workflow_status_transitions WHERE from_status = %(status)s ORDER BY to_status

-- name: cancel :maybe workflow_executions:update
-- At once where nobody runs it; whoever does is told at the next heartbeat.
UPDATE workflow_execution_listings
SET status = CASE status WHEN 'running' THEN status ELSE 'cancelled' END,
    cancel_requested_at = coalesce(cancel_requested_at, CURRENT_TIMESTAMP)
WHERE id = %(execution_id)s AND status IN ('pending', 'running', 'waiting', 'suspended')
RETURNING *

-- name: suspend :maybe workflow_executions:update
-- As cancelling: at once, or at the next heartbeat.
UPDATE workflow_execution_listings
SET status = CASE status WHEN 'running' THEN status ELSE 'suspended' END,
    suspend_requested_at = CASE status WHEN 'running' THEN coalesce(suspend_requested_at, CURRENT_TIMESTAMP) END
WHERE id = %(execution_id)s AND status IN ('pending', 'running', 'waiting')
RETURNING *

-- name: resume :maybe workflow_executions:update
-- Makes it claimable again, or takes back that it should be suspended.
UPDATE workflow_execution_listings
SET status = CASE status WHEN 'suspended' THEN 'pending' ELSE status END, suspend_requested_at = NULL
WHERE id = %(execution_id)s AND (status = 'suspended' OR status = 'running' AND suspend_requested_at IS NOT NULL)
RETURNING *

-- name: retry :maybe workflow_executions:update
-- From the steps that failed or were cancelled; what succeeded is kept.
UPDATE workflow_execution_listings SET status = 'pending', run_after = NULL
WHERE id = %(execution_id)s AND status IN ('faulted', 'cancelled')
RETURNING *

-- name: cancel_all :many workflow_executions:update
-- The oldest that a filter matches and nobody has asked to cancel, at once or at the next heartbeat. Locked in their order,
-- so that two of these at a time wait rather than deadlock.
WITH chosen AS MATERIALIZED (
    SELECT id FROM workflow_executions
    WHERE status IN ('pending', 'running', 'waiting', 'suspended') AND cancel_requested_at IS NULL
      AND organization_id = ANY (ARRAY(SELECT permitted_organizations('workflow_executions:update')))
      AND (%(organization_id)s::uuid IS NULL OR organization_id = %(organization_id)s)
      AND (%(workflow_id)s::uuid IS NULL OR workflow_id = %(workflow_id)s)
      AND (%(integration_id)s::uuid IS NULL OR integration_id = %(integration_id)s)
      AND (%(status)s::text IS NULL OR status = %(status)s)
      AND (%(workflow_type)s::text IS NULL OR workflow_type = %(workflow_type)s)
      AND (%(triggered_by)s::uuid IS NULL OR triggered_by = %(triggered_by)s)
      AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
      AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)
    ORDER BY created_at, id LIMIT %(most)s
    FOR NO KEY UPDATE
)
UPDATE workflow_execution_listings AS execution
SET status = CASE status WHEN 'running' THEN status ELSE 'cancelled' END, cancel_requested_at = CURRENT_TIMESTAMP
FROM chosen WHERE execution.id = chosen.id
RETURNING execution.id, execution.status

-- name: retry_all :many workflow_executions:update
-- The same for those that failed or were cancelled.
WITH chosen AS MATERIALIZED (
    SELECT id FROM workflow_executions
    WHERE status IN ('faulted', 'cancelled')
      AND organization_id = ANY (ARRAY(SELECT permitted_organizations('workflow_executions:update')))
      AND (%(organization_id)s::uuid IS NULL OR organization_id = %(organization_id)s)
      AND (%(workflow_id)s::uuid IS NULL OR workflow_id = %(workflow_id)s)
      AND (%(integration_id)s::uuid IS NULL OR integration_id = %(integration_id)s)
      AND (%(status)s::text IS NULL OR status = %(status)s)
      AND (%(workflow_type)s::text IS NULL OR workflow_type = %(workflow_type)s)
      AND (%(triggered_by)s::uuid IS NULL OR triggered_by = %(triggered_by)s)
      AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
      AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)
    ORDER BY created_at, id LIMIT %(most)s
    FOR NO KEY UPDATE
)
UPDATE workflow_execution_listings AS execution SET status = 'pending', run_after = NULL
FROM chosen WHERE execution.id = chosen.id
RETURNING execution.id, execution.status

-- name: may_move :maybe workflow_executions:update
-- Whether there is an organization where the caller may, when nothing was moved.
SELECT id FROM permitted_organizations('workflow_executions:update') AS id
WHERE %(organization_id)s::uuid IS NULL OR id = %(organization_id)s
LIMIT 1

-- name: list_logs :page workflow_executions:read
-- sort: line_number
-- sized: message
-- Of one execution, in the order in which they were written.
SELECT * FROM workflow_execution_logs
WHERE workflow_execution_id = %(execution_id)s
  AND (%(level)s::text IS NULL OR level = %(level)s)
  AND (%(step_name)s::text IS NULL OR step_name = %(step_name)s)
