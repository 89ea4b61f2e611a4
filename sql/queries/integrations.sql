-- Integrations: from draft to active.

-- name: get :maybe integrations:read
-- One that the caller may see; a deleted one for those who may delete.
SELECT * FROM integrations
WHERE id = %(integration_id)s
  AND (deleted_at IS NULL OR %(include_deleted)s)

-- name: list :page integrations:read
-- sort: created_at, updated_at, name
-- sized: description, config, metadata, capabilities
-- Every filter may be left out. Deleted ones are shown on request, to those whose policy lets them.
SELECT * FROM integrations
WHERE (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(service_type)s::text IS NULL OR service_type = %(service_type)s)
  AND (%(author_id)s::uuid IS NULL OR author_id = %(author_id)s)
  AND (%(template_id)s::text IS NULL OR template_id = %(template_id)s)
  AND (deleted_at IS NULL OR %(include_deleted)s)

-- name: search :page integrations:read
-- sort: created_at, updated_at, name
-- sized: description, config, metadata, capabilities
-- The same list among the matches of a full-text search, which a definer function finds by its index.
SELECT * FROM integrations
WHERE id = ANY (ARRAY(SELECT search_integrations(%(q)s)))
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(service_type)s::text IS NULL OR service_type = %(service_type)s)
  AND (%(author_id)s::uuid IS NULL OR author_id = %(author_id)s)
  AND (%(template_id)s::text IS NULL OR template_id = %(template_id)s)
  AND (deleted_at IS NULL OR %(include_deleted)s)

-- name: lock_many :many
-- What many items change, in an order that all who do so keep; what they may not change they do not lock.
SELECT organization_id FROM integrations WHERE id = ANY (%(ids)s::uuid[]) ORDER BY id FOR NO KEY UPDATE

-- name: list_active :page integrations:read
-- sort: created_at, updated_at, name
-- sized: description, config, metadata, capabilities
-- Active ones with author, organization and how their executions went in the last seven days.
SELECT * FROM active_integrations

-- name: create :one integrations:create
-- Without an organization it belongs to the key's, or to the caller's personal one.
INSERT INTO integrations (
    name, description, service_type, version, config, capabilities, metadata, author_id, organization_id,
    repository_url, documentation_url, health_check_url
) VALUES (
    %(name)s, %(description)s, %(service_type)s, coalesce(%(version)s::text, '0.1.0'), coalesce(%(config)s, '{}'::jsonb),
    coalesce(%(capabilities)s::text[], '{}'), coalesce(%(metadata)s, '{}'::jsonb), current_user_id(),
    coalesce(%(organization_id)s::uuid, current_organization_id(), personal_organization_id()),
    %(repository_url)s, %(documentation_url)s, %(health_check_url)s
)
RETURNING *

-- name: create_from_template :maybe integrations:create
-- The template's data under what the caller gives; no row where the caller does not see the template.
INSERT INTO integrations (
    name, description, service_type, version, config, capabilities, metadata, author_id, organization_id, template_id,
    repository_url, documentation_url, health_check_url
)
SELECT
    coalesce(%(name)s::text, template.name), coalesce(%(description)s::text, template.template_data ->> 'description', template.description),
    coalesce(%(service_type)s::text, template.service_type, 'custom'),
    coalesce(%(version)s::text, template.template_data ->> 'version', '0.1.0'),
    jsonb_merge_patch(coalesce(template.template_data -> 'config', '{}'), coalesce(%(config)s::jsonb, '{}')),
    coalesce(%(capabilities)s::text[], ARRAY(SELECT jsonb_array_elements_text(coalesce(template.template_data -> 'capabilities', '[]')))),
    jsonb_merge_patch(coalesce(template.template_data -> 'metadata', '{}'), coalesce(%(metadata)s::jsonb, '{}')),
    current_user_id(), coalesce(%(organization_id)s::uuid, current_organization_id(), personal_organization_id()), template.id,
    %(repository_url)s, %(documentation_url)s, %(health_check_url)s
FROM integration_templates AS template
WHERE template.id = %(template_id)s AND template.deleted_at IS NULL
RETURNING *

-- name: update :maybe integrations:update
-- A JSON merge patch on the row, if it has the version that the caller read.
UPDATE integrations AS target SET (
    name, description, service_type, version, config, capabilities, metadata, repository_url, documentation_url, health_check_url
) = (
    SELECT merged.name, merged.description, merged.service_type, merged.version, coalesce(merged.config, '{}'),
        coalesce(merged.capabilities, '{}'), coalesce(merged.metadata, '{}'), merged.repository_url,
        merged.documentation_url, merged.health_check_url
    FROM jsonb_populate_record(NULL::integrations, jsonb_merge_patch(to_jsonb(target), %(changes)s)) AS merged
)
WHERE id = %(integration_id)s AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR version_number = ANY (%(versions)s))
RETURNING *

-- name: set_status :maybe integrations:update
-- The database refuses what integration_status_transitions does not know.
UPDATE integrations SET status = %(status)s
WHERE id = %(integration_id)s AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR version_number = ANY (%(versions)s))
RETURNING *

-- name: allowed_statuses :many
-- Where an integration can go from a status.
SELECT to_status FROM integration_status_transitions WHERE from_status = %(status)s ORDER BY to_status

-- name: delete :maybe integrations:delete
-- Soft: the row stays, for restoring and for the record.
UPDATE integrations SET deleted_at = CURRENT_TIMESTAMP
WHERE id = %(integration_id)s AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR version_number = ANY (%(versions)s))
RETURNING *

-- name: restore :maybe integrations:delete
-- Brings a deleted one back.
UPDATE integrations SET deleted_at = NULL
WHERE id = %(integration_id)s AND deleted_at IS NOT NULL
RETURNING *

-- name: statistics :maybe integrations:read
-- Counted every quarter of an hour over the last thirty days; none yet for one that is newer than that.
SELECT integration.id, integration.name, integration.status, integration.service_type, integration.organization_id,
    coalesce(counted.total_executions, 0) AS total_executions,
    coalesce(counted.successful_executions, 0) AS successful_executions,
    coalesce(counted.failed_executions, 0) AS failed_executions,
    counted.success_rate, counted.avg_duration_ms, counted.last_execution_at, integration.created_at,
    views_refreshed_at() AS refreshed_at
FROM integrations AS integration
LEFT JOIN integration_statistics AS counted ON counted.id = integration.id
WHERE integration.id = %(integration_id)s AND integration.deleted_at IS NULL
