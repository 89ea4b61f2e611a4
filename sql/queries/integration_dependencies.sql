-- What an integration depends on.

-- name: get :maybe integrations:read
-- By its id within its integration.
SELECT * FROM integration_dependencies
WHERE id = %(dependency_id)s AND integration_id = %(integration_id)s
  AND EXISTS (SELECT FROM integrations WHERE integrations.id = integration_id AND integrations.deleted_at IS NULL)

-- name: list :page integrations:read
-- sort: created_at, dependency_name
-- Of one integration.
SELECT * FROM integration_dependencies
WHERE integration_id = %(integration_id)s
  AND (%(dependency_type)s::text IS NULL OR dependency_type = %(dependency_type)s)

-- name: create :maybe integrations:update
-- In the integration's organization.
INSERT INTO integration_dependencies
    (organization_id, integration_id, dependency_name, dependency_version, dependency_type, is_required)
SELECT organization_id, id, %(dependency_name)s, %(dependency_version)s, coalesce(%(dependency_type)s::text, 'python'),
    coalesce(%(is_required)s::boolean, true)
FROM integrations
WHERE id = %(integration_id)s AND deleted_at IS NULL
RETURNING *

-- name: lock_many :many
-- Who changes many at once waits for each other: names are unique within an integration.
SELECT id FROM integrations WHERE id = %(integration_id)s FOR NO KEY UPDATE

-- name: update :maybe integrations:update
-- A JSON merge patch, if it has the version that the caller read.
UPDATE integration_dependencies AS target SET (dependency_name, dependency_version, dependency_type, is_required) = (
    SELECT merged.dependency_name, merged.dependency_version, merged.dependency_type, merged.is_required
    FROM jsonb_populate_record(NULL::integration_dependencies, jsonb_merge_patch(to_jsonb(target), %(changes)s)) AS merged
)
WHERE id = %(dependency_id)s AND integration_id = %(integration_id)s
  AND EXISTS (SELECT FROM integrations WHERE integrations.id = integration_id AND integrations.deleted_at IS NULL)
  AND (%(versions)s::integer[] IS NULL OR version = ANY (%(versions)s))
RETURNING *

-- name: delete :maybe integrations:update
-- For good: the event that it leaves is its record.
DELETE FROM integration_dependencies
WHERE id = %(dependency_id)s AND integration_id = %(integration_id)s
  AND EXISTS (SELECT FROM integrations WHERE integrations.id = integration_id AND integrations.deleted_at IS NULL)
  AND (%(versions)s::integer[] IS NULL OR version = ANY (%(versions)s))
RETURNING *
