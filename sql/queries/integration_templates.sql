-- Templates that integrations are made from: public ones, and those of one's organizations.

-- name: get :maybe integration_templates:read
-- One that the caller may see.
SELECT * FROM integration_templates
WHERE id = %(template_id)s
  AND (deleted_at IS NULL OR %(include_deleted)s)

-- name: list :page
-- sort: created_at, name, usage_count
-- sized: description, template_data
-- No permission in the header: public templates belong to other organizations or to none.
SELECT * FROM integration_templates
WHERE (%(service_type)s::text IS NULL OR service_type = %(service_type)s)
  AND (%(is_public)s::boolean IS NULL OR is_public = %(is_public)s)
  AND (deleted_at IS NULL OR %(include_deleted)s)
  AND (%(organization_id)s::uuid IS NULL OR organization_id = %(organization_id)s)

-- name: create :one integration_templates:create
-- Without an organization it belongs to the key's, or to the caller's personal one.
INSERT INTO integration_templates
    (id, organization_id, name, description, service_type, template_data, schema_version, author_id, is_public)
VALUES (
    %(id)s, coalesce(%(organization_id)s::uuid, current_organization_id(), personal_organization_id()), %(name)s,
    %(description)s, %(service_type)s, %(template_data)s, coalesce(%(schema_version)s::text, '1.0'), current_user_id(),
    coalesce(%(is_public)s::boolean, false)
)
RETURNING *

-- name: lock_many :many
-- What many items change, in an order that all who do so keep; what they may not change they do not lock.
SELECT organization_id FROM integration_templates WHERE id = ANY (%(ids)s::text[]) ORDER BY id FOR NO KEY UPDATE

-- name: update :maybe integration_templates:update
-- A JSON merge patch, if it has the version that the caller read.
UPDATE integration_templates AS target SET (name, description, service_type, template_data, schema_version, is_public) = (
    SELECT merged.name, merged.description, merged.service_type, coalesce(merged.template_data, '{}'), merged.schema_version,
        merged.is_public
    FROM jsonb_populate_record(NULL::integration_templates, jsonb_merge_patch(to_jsonb(target), %(changes)s)) AS merged
)
WHERE id = %(template_id)s AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR target.version = ANY (%(versions)s))
RETURNING *

-- name: delete :maybe integration_templates:delete
-- Soft: integrations made from it keep their link.
UPDATE integration_templates SET deleted_at = CURRENT_TIMESTAMP
WHERE id = %(template_id)s AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR version = ANY (%(versions)s))
RETURNING *

-- name: restore :maybe integration_templates:delete
-- Brings a deleted one back.
UPDATE integration_templates SET deleted_at = NULL
WHERE id = %(template_id)s AND deleted_at IS NOT NULL
RETURNING *
