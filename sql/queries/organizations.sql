-- Organizations: the tenants.

-- name: get :maybe organizations:read
-- One that the caller belongs to.
SELECT * FROM organizations
WHERE id = %(organization_id)s
  AND (deleted_at IS NULL OR %(include_deleted)s)

-- name: list :page
-- sort: created_at, name
-- Those that the caller belongs to; few, so no index leads them.
SELECT * FROM organizations
WHERE deleted_at IS NULL OR %(include_deleted)s

-- name: create :one organizations:create
-- With the caller as its first owner.
SELECT * FROM create_organization(%(name)s, %(slug)s, %(description)s, %(settings)s)

-- name: update :maybe organizations:update
-- A JSON merge patch, if it has the version that the caller read.
UPDATE organizations AS target SET (name, slug, description, settings) = (
    SELECT merged.name, merged.slug, merged.description, coalesce(merged.settings, '{}')
    FROM jsonb_populate_record(NULL::organizations, jsonb_merge_patch(to_jsonb(target), %(changes)s)) AS merged
)
WHERE id = %(organization_id)s AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR target.version = ANY (%(versions)s))
RETURNING *

-- name: delete :maybe organizations:delete
-- Soft; whatever belongs to it is hidden with it.
UPDATE organizations SET deleted_at = CURRENT_TIMESTAMP
WHERE id = %(organization_id)s AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR version = ANY (%(versions)s))
RETURNING *

-- name: restore :maybe organizations:delete
-- Brings a deleted one back, with all that belongs to it.
UPDATE organizations SET deleted_at = NULL
WHERE id = %(organization_id)s AND deleted_at IS NOT NULL
RETURNING *
