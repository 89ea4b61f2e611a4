-- What callers tried and may not do.

-- name: record :exec
-- After the refused transaction was undone, in one of its own.
SELECT record_refusal(%(action)s, %(resource_type)s, %(resource_id)s, %(organization_id)s, %(named_type)s, %(named_id)s, %(details)s)
