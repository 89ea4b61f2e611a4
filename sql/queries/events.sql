-- What happened, append-only.

-- name: get :maybe events:read
-- One event.
SELECT * FROM events WHERE id = %(event_id)s

-- name: list :page events:read
-- sort: created_at, position
-- sized: event_data, metadata
-- Every filter may be left out; bounds of time, also those left out, prune partitions under whatever plan. What is not
-- settled may still be preceded by what commits later: the list in order of position leaves it out, a stream asks again.
SELECT *, transaction_id < (SELECT event_horizon()) AS is_settled FROM events
WHERE (NOT %(settled)s::boolean OR transaction_id < (SELECT event_horizon()))
  AND (%(aggregate_type)s::text IS NULL OR aggregate_type = %(aggregate_type)s)
  AND (%(event_type)s::text IS NULL OR event_type = %(event_type)s
      OR right(%(event_type)s, 2) = '.*' AND starts_with(event_type, rtrim(%(event_type)s, '*')))
  AND (%(created_by)s::uuid IS NULL OR created_by = %(created_by)s)
  AND created_at >= coalesce(%(created_after)s::timestamptz, '-infinity')
  AND created_at < coalesce(%(created_before)s::timestamptz, 'infinity')

-- name: list_of_aggregate :page
-- sort: created_at, position
-- sized: event_data, metadata
-- The same of one aggregate, whose events are few. MATERIALIZED: they are found by their own index and then sorted, where
-- the order of the list would lead past all events of the tenant.
WITH aggregate AS MATERIALIZED (
    SELECT * FROM events
    WHERE aggregate_id = %(aggregate_id)s
      AND created_at >= coalesce(%(created_after)s::timestamptz, '-infinity')
      AND created_at < coalesce(%(created_before)s::timestamptz, 'infinity')
)
SELECT *, transaction_id < (SELECT event_horizon()) AS is_settled FROM aggregate
WHERE (NOT %(settled)s::boolean OR transaction_id < (SELECT event_horizon()))
  AND (%(organization_id)s::uuid IS NULL OR organization_id = %(organization_id)s)
  AND (%(aggregate_type)s::text IS NULL OR aggregate_type = %(aggregate_type)s)
  AND (%(event_type)s::text IS NULL OR event_type = %(event_type)s
      OR right(%(event_type)s, 2) = '.*' AND starts_with(event_type, rtrim(%(event_type)s, '*')))
  AND (%(created_by)s::uuid IS NULL OR created_by = %(created_by)s)

-- name: stream :one
-- Where a stream that starts now begins, whose events it may show, and for how long its credential lasts.
SELECT event_horizon()::text AS horizon, ARRAY(SELECT permitted_organizations('events:read')) AS organizations,
    credential_seconds_left() AS seconds_left

-- name: state_as_of :maybe events:read
-- An aggregate as it was: the newest value of each column by then; no row if it was not there yet, or if a part of its
-- events is in the archive.
SELECT jsonb_object_agg(folded.key, folded.value) AS state
FROM (
    SELECT DISTINCT ON (entry.key) entry.key, entry.value
    FROM events
    CROSS JOIN LATERAL jsonb_each(event_data -> 'new') AS entry
    WHERE aggregate_type = %(aggregate_type)s AND aggregate_id = aggregate_uuid(%(aggregate_id)s::text)
      AND created_at <= %(as_of)s
    ORDER BY entry.key, version DESC
) AS folded
HAVING count(*) > 0 AND (
    -- a row that was deleted for good is no more
    SELECT (array_agg(event_data ? 'new' ORDER BY version DESC))[1] AND count(*) = max(version) FROM events
    WHERE aggregate_type = %(aggregate_type)s AND aggregate_id = aggregate_uuid(%(aggregate_id)s::text)
      AND created_at <= %(as_of)s
)

-- name: membership_as_of :maybe events:read
-- Which membership a user had in an organization by then: whoever leaves and comes back has another.
SELECT aggregate_id FROM events
WHERE organization_id = %(organization_id)s AND aggregate_type = 'organization_member'
  AND event_type = 'organization_member.created' AND event_data -> 'new' ->> 'user_id' = %(user_id)s::text
  AND created_at <= %(as_of)s
ORDER BY created_at DESC LIMIT 1
