-- Schedules: what runs at which times.

-- name: get :maybe schedules:read
-- One that the caller may see; a deleted one for those who may delete.
SELECT * FROM schedules
WHERE id = %(schedule_id)s
  AND (deleted_at IS NULL OR %(include_deleted)s)

-- name: list :page schedules:read
-- sort: created_at, updated_at, name
-- sized: input_parameters
-- Every filter may be left out.
SELECT * FROM schedules
WHERE (%(integration_id)s::uuid IS NULL OR integration_id = %(integration_id)s)
  AND (%(workflow_id)s::uuid IS NULL OR workflow_id = %(workflow_id)s)
  AND (%(is_active)s::boolean IS NULL OR is_active = %(is_active)s)
  AND (deleted_at IS NULL OR %(include_deleted)s)

-- name: create :maybe schedules:create
-- In the organization of what it starts, which the caller must see; no row where they do not.
INSERT INTO schedules (
    organization_id, name, integration_id, workflow_id, cron_expression, time_zone, catch_up, input_parameters, is_active,
    next_run_at, created_by
)
SELECT target.organization_id, %(name)s, %(integration_id)s, %(workflow_id)s, %(cron_expression)s, %(time_zone)s,
    coalesce(%(catch_up)s::boolean, false), coalesce(%(input_parameters)s::jsonb, '{}'),
    coalesce(%(is_active)s::boolean, true), %(next_run_at)s, current_user_id()
FROM (
    SELECT organization_id FROM integrations WHERE id = %(integration_id)s AND deleted_at IS NULL
    UNION ALL
    SELECT organization_id FROM workflows WHERE id = %(workflow_id)s AND deleted_at IS NULL
) AS target
RETURNING *

-- name: lock :maybe schedules:update
-- Ahead of a change, which may move its next time.
SELECT * FROM schedules
WHERE id = %(schedule_id)s AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR version = ANY (%(versions)s))
FOR NO KEY UPDATE

-- name: lock_many :many
-- What many items change, in an order that all who do so keep; what they may not change they do not lock.
SELECT organization_id FROM schedules WHERE id = ANY (%(ids)s::uuid[]) ORDER BY id FOR NO KEY UPDATE

-- name: update :maybe schedules:update
-- A JSON merge patch on the row.
UPDATE schedules AS target SET (
    name, integration_id, workflow_id, cron_expression, time_zone, catch_up, input_parameters, is_active, next_run_at
) = (
    SELECT merged.name, merged.integration_id, merged.workflow_id, merged.cron_expression, merged.time_zone,
        merged.catch_up, coalesce(merged.input_parameters, '{}'), merged.is_active, %(next_run_at)s::timestamptz
    FROM jsonb_populate_record(NULL::schedules, jsonb_merge_patch(to_jsonb(target), %(changes)s)) AS merged
)
WHERE id = %(schedule_id)s AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR version = ANY (%(versions)s))
RETURNING *

-- name: delete :maybe schedules:delete
-- Soft: the row stays, for restoring and for its runs.
UPDATE schedules SET deleted_at = CURRENT_TIMESTAMP, next_run_at = NULL
WHERE id = %(schedule_id)s AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR version = ANY (%(versions)s))
RETURNING *

-- name: restore :maybe schedules:delete
-- Brings a deleted one back; what fell due meanwhile is not made up for.
UPDATE schedules SET deleted_at = NULL
WHERE id = %(schedule_id)s AND deleted_at IS NOT NULL
RETURNING *

-- name: set_next_run :one schedules:update
-- After restoring, reckoned from now.
UPDATE schedules SET next_run_at = %(next_run_at)s
WHERE id = %(schedule_id)s
RETURNING *

-- name: list_runs :page schedules:read
-- sort: due_at
-- Of one schedule: each time that was due, and what came of it.
SELECT * FROM schedule_runs
WHERE schedule_id = %(schedule_id)s
