-- Webhooks. Secrets are written here and read by nobody who makes a request.

-- name: get :maybe webhooks:read
-- One that the caller may see; a deleted one for those who may delete.
SELECT * FROM webhook_listings
WHERE id = %(webhook_id)s
  AND (deleted_at IS NULL OR %(include_deleted)s)

-- name: list :page webhooks:read
-- sort: created_at
-- sized: events, filter
-- Every filter may be left out.
SELECT * FROM webhook_listings
WHERE (%(integration_id)s::uuid IS NULL OR integration_id = %(integration_id)s)
  AND (%(is_active)s::boolean IS NULL OR is_active = %(is_active)s)
  AND (deleted_at IS NULL OR %(include_deleted)s)

-- name: create :maybe webhooks:create
-- In the integration's organization; no row where the caller does not see the integration.
INSERT INTO webhooks (organization_id, integration_id, url, events, secret, filter, is_ordered, rate_limit, max_concurrency, is_active)
SELECT organization_id, id, %(url)s, %(events)s::text[], %(secret)s, %(filter)s, coalesce(%(is_ordered)s::boolean, false),
    %(rate_limit)s::integer, %(max_concurrency)s::integer, coalesce(%(is_active)s::boolean, true)
FROM integrations
WHERE id = %(integration_id)s AND deleted_at IS NULL
RETURNING id, organization_id, integration_id, url, events, filter, is_ordered, rate_limit, max_concurrency, is_active,
    previous_secret_expires_at, last_success_at, last_failure_at, failure_count, failing_since, disabled_at,
    disabled_reason, created_at, updated_at, deleted_at, version

-- name: update :maybe webhooks:update
-- A JSON merge patch, if it has the version that the caller read.
UPDATE webhook_listings AS target SET (url, events, filter, is_ordered, rate_limit, max_concurrency, is_active) = (
    SELECT merged.url, merged.events, merged.filter, merged.is_ordered, merged.rate_limit, merged.max_concurrency, merged.is_active
    FROM jsonb_populate_record(NULL::webhook_listings, jsonb_merge_patch(to_jsonb(target), %(changes)s)) AS merged
)
WHERE id = %(webhook_id)s AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR version = ANY (%(versions)s))
RETURNING *

-- name: lock_many :many
-- What many items change, in an order that all who do so keep; and whose it is.
WITH locked AS (
    SELECT organization_id FROM webhook_listings WHERE id = ANY (%(ids)s::uuid[]) ORDER BY id FOR NO KEY UPDATE
)
SELECT organization_id FROM locked
UNION ALL SELECT organization_id FROM integrations WHERE id = ANY (%(integration_ids)s::uuid[])

-- name: switch :maybe webhooks:update
-- On or off; the database keeps when and why, and holds what waits.
UPDATE webhook_listings SET is_active = %(is_active)s
WHERE id = %(webhook_id)s AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR version = ANY (%(versions)s))
RETURNING *

-- name: rotate_secret :maybe webhooks:update
-- The database keeps the one before for a day.
UPDATE webhooks SET secret = %(secret)s
WHERE id = %(webhook_id)s AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR version = ANY (%(versions)s))
RETURNING id, organization_id, integration_id, url, events, filter, is_ordered, rate_limit, max_concurrency, is_active,
    previous_secret_expires_at, last_success_at, last_failure_at, failure_count, failing_since, disabled_at,
    disabled_reason, created_at, updated_at, deleted_at, version

-- name: delete :maybe webhooks:delete
-- Soft; what waits for it is cancelled.
UPDATE webhook_listings SET deleted_at = CURRENT_TIMESTAMP
WHERE id = %(webhook_id)s AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR version = ANY (%(versions)s))
RETURNING *

-- name: restore :maybe webhooks:delete
-- Brings a deleted one back; what was cancelled stays so.
UPDATE webhook_listings SET deleted_at = NULL
WHERE id = %(webhook_id)s AND deleted_at IS NOT NULL
RETURNING *

-- name: health :maybe webhook_deliveries:read
-- Out of the attempts on deliveries of the last eleven days (a retry schedule and seven days), and no more than the newest
-- 20,000 of them, so that it costs a busy webhook a quarter of a second at most.
WITH hook AS (
    SELECT id, organization_id, is_active, disabled_reason, last_success_at, last_failure_at, failing_since, failure_count
    FROM webhook_listings
    WHERE id = %(webhook_id)s AND deleted_at IS NULL
), attempt AS MATERIALIZED (
    SELECT (made ->> 'started_at')::timestamptz AS started_at, (made ->> 'duration_ms')::double precision AS duration_ms,
        (made ->> 'response_status')::integer BETWEEN 200 AND 299 AS succeeded
    FROM hook
    CROSS JOIN LATERAL (
        SELECT attempts FROM webhook_deliveries AS delivery
        WHERE delivery.organization_id = hook.organization_id AND delivery.webhook_id = hook.id
            AND delivery.created_at > CURRENT_TIMESTAMP - INTERVAL '11 days'
        ORDER BY created_at DESC, id DESC
        LIMIT 20000
    ) AS delivery
    CROSS JOIN LATERAL jsonb_array_elements(delivery.attempts) AS made
), period AS (
    SELECT name, count(attempt.started_at) AS attempts, count(*) FILTER (WHERE succeeded) AS successes,
        percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY duration_ms) AS percentiles
    FROM (VALUES ('last_24_hours', INTERVAL '24 hours'), ('last_7_days', INTERVAL '7 days')) AS periods (name, length)
    LEFT JOIN attempt ON attempt.started_at > CURRENT_TIMESTAMP - length
    GROUP BY name
)
SELECT hook.id AS webhook_id, hook.is_active, hook.disabled_reason, hook.last_success_at, hook.last_failure_at, hook.failing_since,
    hook.failure_count AS failure_streak, waiting.*, held.*, periods.*
FROM hook
CROSS JOIN LATERAL (
    SELECT count(*) AS waiting, min(created_at) AS oldest_waiting_at, min(run_after) AS next_attempt_at
    FROM webhook_deliveries AS delivery
    WHERE delivery.organization_id = hook.organization_id AND delivery.webhook_id = hook.id AND delivery.status = 'pending'
) AS waiting
CROSS JOIN LATERAL (
    SELECT count(*) AS held FROM webhook_deliveries AS delivery
    WHERE delivery.organization_id = hook.organization_id AND delivery.webhook_id = hook.id AND delivery.status = 'held'
) AS held
CROSS JOIN LATERAL (
    SELECT jsonb_object_agg(name, measured) -> 'last_24_hours' AS last_24_hours, jsonb_object_agg(name, measured) -> 'last_7_days' AS last_7_days
    FROM period
    CROSS JOIN LATERAL (SELECT jsonb_build_object(
        'attempts', attempts, 'successes', successes, 'success_rate', round(100.0 * successes / nullif(attempts, 0), 2),
        'latency_p50_ms', percentiles[1], 'latency_p95_ms', percentiles[2]) AS measured) AS measurements
) AS periods
