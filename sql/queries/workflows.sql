-- Workflows: what they are called, and the definition that runs.

-- name: get :maybe workflows:read
-- One that the caller may see; a deleted one for those who may delete.
SELECT * FROM workflows
WHERE id = %(workflow_id)s
  AND (deleted_at IS NULL OR %(include_deleted)s)

-- name: list :page workflows:read
-- sort: created_at, updated_at, name
-- sized: description
-- Without their definitions, of which a page would be megabytes.
SELECT id, organization_id, workflow_type, name, description, is_active, version, definition_version, created_by,
    created_at, updated_at, deleted_at, version_number
FROM workflows
WHERE (%(workflow_type)s::text IS NULL OR workflow_type = %(workflow_type)s)
  AND (%(is_active)s::boolean IS NULL OR is_active = %(is_active)s)
  AND (%(created_by)s::uuid IS NULL OR created_by = %(created_by)s)
  AND (deleted_at IS NULL OR %(include_deleted)s)

-- name: create :one workflows:create
-- Without an organization it belongs to the key's, or to the caller's personal one. The definition names it and labels it.
INSERT INTO workflows (organization_id, workflow_type, name, description, definition, is_active, version, created_by)
VALUES (
    coalesce(%(organization_id)s::uuid, current_organization_id(), personal_organization_id()),
    coalesce(%(workflow_type)s::text, %(definition)s::jsonb #>> '{document,name}'),
    coalesce(%(name)s::text, %(definition)s::jsonb #>> '{document,name}'),
    %(description)s, %(definition)s, coalesce(%(is_active)s::boolean, true),
    %(definition)s::jsonb #>> '{document,version}', current_user_id()
)
RETURNING *

-- name: lock :maybe workflows:update
-- Ahead of a change that is checked outside: nobody else changes it meanwhile.
SELECT * FROM workflows
WHERE id = %(workflow_id)s AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR version_number = ANY (%(versions)s))
FOR NO KEY UPDATE

-- name: lock_many :many
-- What many items change, in an order that all who do so keep; what they may not change they do not lock.
SELECT organization_id FROM workflows WHERE id = ANY (%(ids)s::uuid[]) ORDER BY id FOR NO KEY UPDATE

-- name: update :maybe workflows:update
-- A JSON merge patch on the row, its definition taken as given; a new definition brings its label along.
UPDATE workflows AS target SET (workflow_type, name, description, is_active, definition, version) = (
    SELECT merged.workflow_type, merged.name, merged.description, merged.is_active,
        coalesce(%(definition)s::jsonb, target.definition),
        coalesce(%(definition)s::jsonb, target.definition) #>> '{document,version}'
    FROM jsonb_populate_record(NULL::workflows, jsonb_merge_patch(to_jsonb(target) - 'definition', %(changes)s)) AS merged
)
WHERE id = %(workflow_id)s AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR version_number = ANY (%(versions)s))
RETURNING *

-- name: delete :maybe workflows:delete
-- Soft: the row stays, for restoring and for the executions that came of it.
UPDATE workflows SET deleted_at = CURRENT_TIMESTAMP
WHERE id = %(workflow_id)s AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR version_number = ANY (%(versions)s))
RETURNING *

-- name: restore :maybe workflows:delete
-- Brings a deleted one back.
UPDATE workflows SET deleted_at = NULL
WHERE id = %(workflow_id)s AND deleted_at IS NOT NULL
RETURNING *
