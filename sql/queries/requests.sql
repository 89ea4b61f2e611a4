-- What requests of every kind do beside their resource.

-- name: count :one
-- Nothing of its own: what goes before every statement authenticates the caller and counts the request.
SELECT true AS counted

-- name: lock_usage :exec
-- What many items count, in an order that all who do so keep.
SELECT lock_usage(%(organization_ids)s::uuid[], %(template_ids)s::text[])
