-- Deliveries of webhooks, partitioned by the month in which they were queued.

-- name: get :maybe webhook_deliveries:read
-- By id alone: one look into the primary key of each partition, of which retention leaves a few. Without the lease.
SELECT id, organization_id, webhook_id, event_type, event_id, event_position, status, run_after, attempt, delivery_attempts,
    response_status, response_headers, response_body, delivered_at, payload, attempts, created_at, updated_at, version
FROM webhook_deliveries
WHERE id = %(delivery_id)s

-- name: list :page webhook_deliveries:read
-- sort: created_at
-- Of all webhooks. Every filter may be left out.
SELECT * FROM webhook_delivery_listings
WHERE (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(event_type)s::text IS NULL OR event_type = %(event_type)s)
  AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)

-- name: list_of_webhook :page webhook_deliveries:read
-- sort: created_at
-- The same of one webhook, by an index of its own: among all of a tenant's, those of a quiet one are far apart.
SELECT * FROM webhook_delivery_listings
WHERE webhook_id = %(webhook_id)s
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(event_type)s::text IS NULL OR event_type = %(event_type)s)
  AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)

-- name: ping :maybe webhook_deliveries:create
-- A test that only this webhook gets, if it is switched on.
WITH queued AS (
    INSERT INTO webhook_deliveries (organization_id, webhook_id, event_type, payload, delivery_attempts)
    SELECT organization_id, id, 'webhook.ping', jsonb_build_object(
        'type', 'webhook.ping', 'timestamp', to_char(CURRENT_TIMESTAMP AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'data', jsonb_build_object('webhook_id', id, 'organization_id', organization_id, 'integration_id', integration_id)), 0
    FROM webhook_listings
    WHERE id = %(webhook_id)s AND deleted_at IS NULL AND is_active
    RETURNING id, organization_id, webhook_id, event_type, event_id, event_position, status, run_after, attempt,
        delivery_attempts, response_status, delivered_at, created_at, updated_at, version
)
SELECT queued.* FROM queued
CROSS JOIN LATERAL announce('webhook_deliveries', json_build_object('organization', organization_id, 'webhook', webhook_id)::text)

-- name: redeliver :maybe webhook_deliveries:update
-- Now, and with a whole retry schedule before it, if its webhook is on.
WITH queued AS (
    UPDATE webhook_delivery_listings AS delivery SET status = 'pending', run_after = CURRENT_TIMESTAMP, attempt = 0
    WHERE id = %(delivery_id)s
      AND EXISTS (SELECT FROM webhook_listings WHERE id = delivery.webhook_id AND is_active AND deleted_at IS NULL)
    RETURNING *
)
SELECT queued.* FROM queued
CROSS JOIN LATERAL announce('webhook_deliveries', json_build_object('organization', organization_id, 'webhook', webhook_id)::text)

-- name: lacking :maybe
-- Whether a delivery's webhook is not found because the key may see none, and not because there is none any more.
SELECT 'webhooks:read' AS permission WHERE NOT key_permits('webhooks:read')

-- name: recover :one webhook_deliveries:update
-- What was given up or held, oldest first, up to a number that one statement settles well within its time. What is just being
-- reported is left to the report: to wait for each other would be a deadlock.
WITH chosen AS (
    SELECT delivery.id, delivery.created_at FROM webhook_deliveries AS delivery
    WHERE delivery.organization_id = %(organization_id)s AND delivery.webhook_id = %(webhook_id)s
      AND delivery.status IN ('exhausted', 'held')
      AND (%(since)s::timestamptz IS NULL OR delivery.created_at >= %(since)s)
      AND (%(until)s::timestamptz IS NULL OR delivery.created_at < %(until)s)
    ORDER BY delivery.created_at, delivery.id LIMIT %(most)s
), locked AS (
    SELECT delivery.id, delivery.created_at FROM webhook_deliveries AS delivery
    JOIN chosen ON chosen.id = delivery.id AND chosen.created_at = delivery.created_at
    WHERE delivery.status IN ('exhausted', 'held')
    FOR NO KEY UPDATE OF delivery SKIP LOCKED
), queued AS (
    UPDATE webhook_deliveries AS delivery SET status = 'pending', run_after = CURRENT_TIMESTAMP, attempt = 0
    FROM locked
    WHERE delivery.id = locked.id AND delivery.created_at = locked.created_at
    RETURNING delivery.webhook_id
)
SELECT (SELECT count(*) FROM queued) AS recovered,
    (SELECT count(*) FROM chosen) = %(most)s OR (SELECT count(*) FROM chosen) > (SELECT count(*) FROM locked) AS has_more,
    %(organization_id)s = ANY (ARRAY(SELECT permitted_organizations('webhook_deliveries:update'))) AS is_permitted
FROM announce('webhook_deliveries',
    json_build_object('organization', %(organization_id)s::uuid, 'webhook', %(webhook_id)s::uuid)::text)
