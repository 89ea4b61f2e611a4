-- Health checks as the worker sees them: claimed in batches, reported on one by one.

-- name: claim :many
-- Up to a number of due ones, each under a new lease token.
SELECT id, lease_token, url FROM claim_health_checks(%(batch)s, make_interval(secs => %(lease_seconds)s))

-- name: complete :one
-- Whether the lease still held.
SELECT complete_health_check(%(id)s, %(lease_token)s, %(status)s, %(http_status)s, %(latency_ms)s, %(error_message)s) AS is_taken
