-- Steps of executions of workflows: what was done, task by task.

-- name: get :maybe workflow_executions:read
-- By its id within its execution.
SELECT * FROM workflow_step_listings
WHERE id = %(step_id)s AND workflow_execution_id = %(execution_id)s

-- name: list :page workflow_executions:read
-- sort: created_at
-- sized: error_message
-- Of one execution, without what went in and came out.
SELECT id, organization_id, workflow_execution_id, step_name, status, error_message, started_at, completed_at,
    duration_ms, retry_count, run_after, attempt, created_at, updated_at, version
FROM workflow_step_listings
WHERE workflow_execution_id = %(execution_id)s
  AND (%(status)s::text IS NULL OR status = %(status)s)
