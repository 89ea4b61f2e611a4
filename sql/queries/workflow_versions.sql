-- Versions of a workflow's definition; the database keeps one for each that was accepted.

-- name: get :maybe workflows:read
-- By its id within its workflow.
SELECT * FROM workflow_versions
WHERE id = %(version_id)s AND workflow_id = %(workflow_id)s
  AND EXISTS (SELECT FROM workflows WHERE workflows.id = workflow_id AND workflows.deleted_at IS NULL)

-- name: list :page workflows:read
-- sort: created_at
-- Of one workflow, without the definitions themselves.
SELECT id, organization_id, workflow_id, version_number, version, created_by, created_at FROM workflow_versions
WHERE workflow_id = %(workflow_id)s
