-- API keys of services. The hash never leaves the database.

-- name: get :maybe api_keys:read
-- One's own, or one of an organization whose keys one manages.
SELECT * FROM api_key_listings
WHERE id = %(api_key_id)s
  AND (deleted_at IS NULL OR %(include_deleted)s)

-- name: get_current :one
-- The key that the request came with.
SELECT * FROM api_key_listings
WHERE id = current_api_key_id()

-- name: list :page
-- sort: created_at, name
-- sized: permissions
-- Without a permission in the header: keys for all of one's organizations belong to none.
SELECT * FROM api_key_listings
WHERE (deleted_at IS NULL OR %(include_deleted)s)
  AND (%(organization_id)s::uuid IS NULL OR organization_id = %(organization_id)s)

-- name: create :one api_keys:create
-- Bound to the organization of the key that makes it, if that is bound.
INSERT INTO api_keys (id, user_id, organization_id, name, key_hash, key_prefix, permissions, rate_limit, expires_at)
VALUES (coalesce(%(id)s::uuid, gen_random_uuid()), current_user_id(), coalesce(%(organization_id)s::uuid, current_organization_id()), %(name)s, %(key_hash)s, %(key_prefix)s,
    %(permissions)s::text[], coalesce(%(rate_limit)s::integer, 1000), %(expires_at)s)
RETURNING id, user_id, organization_id, name, key_prefix, permissions, rate_limit, last_used_at, expires_at, is_active,
    rotated_to, created_at, updated_at, deleted_at, version

-- name: update :maybe api_keys:update
-- A JSON merge patch, if it has the version that the caller read.
UPDATE api_key_listings AS target SET (name, permissions, rate_limit, expires_at, is_active) = (
    SELECT merged.name, coalesce(merged.permissions, '{}'), merged.rate_limit, merged.expires_at, merged.is_active
    FROM jsonb_populate_record(NULL::api_key_listings, jsonb_merge_patch(to_jsonb(target), %(changes)s)) AS merged
)
WHERE id = %(api_key_id)s AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR version = ANY (%(versions)s))
RETURNING *

-- name: succeed :maybe api_keys:update
-- Names the successor, once: it takes the place of this one among the organization's keys.
UPDATE api_key_listings SET rotated_to = %(rotated_to)s
WHERE id = %(api_key_id)s AND deleted_at IS NULL AND rotated_to IS NULL
RETURNING *

-- name: retire :maybe api_keys:update
-- It goes on for the overlap, never longer than it would have. After its successor was made: a key that rotates itself
-- makes none that lives longer than it does.
UPDATE api_key_listings
SET expires_at = least(expires_at, CURRENT_TIMESTAMP + make_interval(secs => %(overlap_seconds)s))
WHERE id = %(api_key_id)s AND deleted_at IS NULL
RETURNING *

-- name: revoke :maybe api_keys:delete
-- From the next request on, in every process.
UPDATE api_key_listings SET deleted_at = CURRENT_TIMESTAMP, is_active = false
WHERE id = %(api_key_id)s AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR version = ANY (%(versions)s))
RETURNING *
