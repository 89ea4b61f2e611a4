-- Organizations: the tenants.

-- name: get :maybe organizations:read
-- One that the caller belongs to.
SELECT * FROM organizations
WHERE id = %(organization_id)s
  AND (deleted_at IS NULL OR %(include_deleted)s)

-- name: list :page
-- sort: created_at, name
-- sized: description, settings, limits, usage_stats
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

-- name: usage :many organizations:read
-- What it has and may have, by its own limits over those of its plan; executions of a day that is over are gone.
SELECT limited.resource, counted.used, allowed.amount AS "limit", allowed.amount - least(counted.used, allowed.amount) AS remaining
FROM organizations AS organization
JOIN plans ON plans.name = organization.plan
CROSS JOIN (VALUES ('api_keys'), ('executions_per_day'), ('integrations'), ('members'), ('webhooks'), ('workflows'))
    AS limited (resource)
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN limited.resource <> 'executions_per_day' THEN coalesce((organization.usage_stats ->> limited.resource)::integer, 0)
        WHEN organization.usage_stats #>> '{executions,day}' = (CURRENT_TIMESTAMP AT TIME ZONE 'UTC')::date::text
            THEN (organization.usage_stats #>> '{executions,count}')::integer
        ELSE 0
    END AS used
) AS counted
CROSS JOIN LATERAL (
    SELECT ((plans.limits || organization.limits) ->> limited.resource)::integer AS amount
) AS allowed
WHERE organization.id = %(organization_id)s AND organization.deleted_at IS NULL
ORDER BY limited.resource
