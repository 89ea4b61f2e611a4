-- Answers to POSTs that carried an Idempotency-Key.

-- name: lock :one
-- One request at a time for a key; the second is told so instead of waiting.
SELECT pg_try_advisory_xact_lock(hashtextextended(
    concat_ws(' ', current_user_id(), current_api_key_id(), %(route)s::text, %(key)s::text), 0
)) AS is_free

-- name: find :maybe
-- The first answer, while it is kept.
SELECT request_hash, response_status, response_headers, response_body, is_encrypted
FROM idempotency_keys
WHERE user_id = current_user_id() AND route = %(route)s || coalesce(' by ' || current_api_key_id(), '') AND key = %(key)s
  AND expires_at > CURRENT_TIMESTAMP

-- name: keep :exec
-- In the transaction of the effect. One that has expired makes way.
INSERT INTO idempotency_keys
    (user_id, route, key, request_hash, response_status, response_headers, response_body, is_encrypted, expires_at)
VALUES (
    current_user_id(), %(route)s || coalesce(' by ' || current_api_key_id(), ''), %(key)s, %(request_hash)s, %(response_status)s,
    %(response_headers)s, %(response_body)s, %(is_encrypted)s, CURRENT_TIMESTAMP + interval '24 hours'
)
ON CONFLICT ON CONSTRAINT pk_idempotency_keys DO UPDATE SET
    request_hash = EXCLUDED.request_hash, response_status = EXCLUDED.response_status,
    response_headers = EXCLUDED.response_headers, response_body = EXCLUDED.response_body,
    is_encrypted = EXCLUDED.is_encrypted, expires_at = EXCLUDED.expires_at, created_at = CURRENT_TIMESTAMP
