-- Who did what, append-only.

-- name: get :one audit_logs:read
-- One row, which never changes.
SELECT *, 1 AS version FROM audit_logs WHERE id = %(audit_log_id)s

-- name: list :page audit_logs:read
-- sort: created_at
-- sized: details, user_agent
-- Every filter may be left out; bounds of time, also those left out, prune partitions.
SELECT *, 1 AS version FROM audit_logs
WHERE (%(user_id)s::uuid IS NULL OR user_id = %(user_id)s)
  AND (%(action)s::text IS NULL OR action = %(action)s)
  AND (%(resource_type)s::text IS NULL OR resource_type = %(resource_type)s)
  AND (%(resource_id)s::text IS NULL OR resource_id = %(resource_id)s)
  AND (%(outcome)s::text IS NULL OR details ->> 'outcome' = %(outcome)s)
  AND (%(ip_address)s::inet IS NULL OR ip_address = %(ip_address)s)
  AND created_at >= coalesce(%(created_after)s::timestamptz, '-infinity')
  AND created_at < coalesce(%(created_before)s::timestamptz, 'infinity')
