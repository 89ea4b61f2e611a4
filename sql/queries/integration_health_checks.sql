-- Checks of an integration's health, as its owners see them.

-- name: get :maybe integrations:read
-- By its id within its integration.
SELECT * FROM integration_health_check_listings
WHERE id = %(health_check_id)s AND integration_id = %(integration_id)s
  AND EXISTS (SELECT FROM integrations WHERE integrations.id = integration_id AND integrations.deleted_at IS NULL)

-- name: list :page integrations:read
-- sort: created_at
-- sized: error_message
-- Of one integration.
SELECT * FROM integration_health_check_listings
WHERE integration_id = %(integration_id)s
  AND (%(status)s::text IS NULL OR status = %(status)s)

-- name: create :maybe integrations:update
-- For a worker to claim; no row where one is waiting already.
INSERT INTO integration_health_check_listings (organization_id, integration_id, requested_by)
SELECT organization_id, id, current_user_id()
FROM integrations
WHERE id = %(integration_id)s AND deleted_at IS NULL
ON CONFLICT (organization_id, integration_id) WHERE status = 'pending' DO NOTHING
RETURNING *

-- name: pending :maybe integrations:read
-- The one that is waiting.
SELECT * FROM integration_health_check_listings
WHERE integration_id = %(integration_id)s AND status = 'pending'
