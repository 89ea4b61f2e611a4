-- The mail that is to be sent. What is asked for by anybody is queued by the resource that it belongs to.

-- name: claim :many
-- A batch that is due, each with a new lease.
SELECT id, kind, recipient, secret, details, attempt, lease_token FROM claim_mail(%(batch)s, %(lease_seconds)s)

-- name: settle :one
-- sent, failed, or pending again after a pause; refused for a lease that is somebody else's by now.
SELECT settle_mail(%(message_id)s, %(lease_token)s, %(status)s, %(error_message)s, %(pause_seconds)s) AS is_settled
