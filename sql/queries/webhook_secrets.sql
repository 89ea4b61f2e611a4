-- Webhooks' secrets under another key of the service; on the command line, as the owner of the schema.

-- name: encrypted :many
-- A thousand at a time, in the order of ids.
SELECT id::text AS id, secret, previous_secret FROM encrypted_webhook_secrets(%(after)s)

-- name: keep :one
-- Unless they were rotated meanwhile.
SELECT keep_webhook_secrets(%(webhook_id)s, %(was)s, %(previous_was)s, %(secret)s, %(previous_secret)s) AS is_kept
