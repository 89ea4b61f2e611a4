-- What happened, append-only.

-- name: get :maybe events:read
-- One event.
SELECT * FROM events WHERE id = %(event_id)s

-- name: list :page events:read
-- sort: created_at
-- Every filter may be left out. Of one aggregate its versions give the order.
SELECT * FROM events
WHERE (%(aggregate_type)s::text IS NULL OR aggregate_type = %(aggregate_type)s)
  AND (%(aggregate_id)s::uuid IS NULL OR aggregate_id = %(aggregate_id)s)
  AND (%(event_type)s::text IS NULL OR event_type = %(event_type)s)
  AND (%(created_after)s::timestamptz IS NULL OR created_at >= %(created_after)s)
  AND (%(created_before)s::timestamptz IS NULL OR created_at < %(created_before)s)

-- name: state_as_of :maybe events:read
-- An aggregate as it was: the newest value of each column by then; no row if it was not there yet.
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
    SELECT event_data ? 'new' FROM events
    WHERE aggregate_type = %(aggregate_type)s AND aggregate_id = aggregate_uuid(%(aggregate_id)s::text)
      AND created_at <= %(as_of)s
    ORDER BY version DESC LIMIT 1
)

-- name: membership_as_of :maybe events:read
-- Which membership a user had in an organization by then: whoever leaves and comes back has another.
SELECT aggregate_id FROM events
WHERE organization_id = %(organization_id)s AND aggregate_type = 'organization_member'
  AND event_type = 'organization_member.created' AND event_data -> 'new' ->> 'user_id' = %(user_id)s::text
  AND created_at <= %(as_of)s
ORDER BY created_at DESC LIMIT 1
