-- Versions of an integration; at most one is active.

-- name: get :maybe integrations:read
-- By its id within its integration.
SELECT * FROM integration_versions
WHERE id = %(version_id)s AND integration_id = %(integration_id)s
  AND EXISTS (SELECT FROM integrations WHERE integrations.id = integration_id AND integrations.deleted_at IS NULL)

-- name: list :page integrations:read
-- sort: created_at
-- sized: changelog, config
-- Of one integration.
SELECT * FROM integration_versions
WHERE integration_id = %(integration_id)s

-- name: create :maybe integrations:update
-- In the integration's organization, with its configuration unless another is given.
INSERT INTO integration_versions (organization_id, integration_id, version, changelog, config, source_code_url, created_by)
SELECT organization_id, id, %(version)s, %(changelog)s, coalesce(%(config)s::jsonb, config), %(source_code_url)s, current_user_id()
FROM integrations
WHERE id = %(integration_id)s AND deleted_at IS NULL
RETURNING *

-- name: lock_integration :maybe integrations:update
-- Ahead of an activation: two at the same time would each see no other version active.
SELECT id FROM integrations WHERE id = %(integration_id)s FOR NO KEY UPDATE

-- name: deactivate_others :exec integrations:update
-- Ahead of an activation: there is one active version at most.
UPDATE integration_versions SET is_active = false
WHERE integration_id = %(integration_id)s AND is_active AND id <> %(version_id)s

-- name: activate :maybe integrations:update
-- If it has the version that the caller read.
UPDATE integration_versions SET is_active = true
WHERE id = %(version_id)s AND integration_id = %(integration_id)s
  AND EXISTS (SELECT FROM integrations WHERE integrations.id = integration_id AND integrations.deleted_at IS NULL)
  AND (%(versions)s::integer[] IS NULL OR version_number = ANY (%(versions)s))
RETURNING *

-- name: apply :maybe integrations:update
-- The integration takes over the active version's label and configuration.
UPDATE integrations AS integration SET version = active.version, config = active.config
FROM integration_versions AS active
WHERE active.id = %(version_id)s AND active.integration_id = %(integration_id)s
  AND integration.id = active.integration_id AND integration.deleted_at IS NULL
RETURNING integration.id
