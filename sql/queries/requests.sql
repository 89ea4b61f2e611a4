-- Requests that are refused before they reach a resource.

-- name: count :one
-- Nothing of its own: what goes before every statement authenticates the caller and counts the request.
SELECT true AS counted
