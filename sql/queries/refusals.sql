-- What callers tried and may not do.

-- name: sees :one
-- Whether an organization is one of the caller's. A key that lacks the permission altogether does not learn that.
SELECT NOT key_permits(%(permission)s) OR %(organization_id)s::uuid = ANY (ARRAY(SELECT member_organizations(%(permission)s))) AS sees

-- name: record :exec
-- After the refused transaction was undone, in one of its own.
SELECT record_refusal(%(action)s, %(resource_type)s, %(resource_id)s, %(organization_id)s, %(named_type)s, %(named_id)s, %(details)s)
