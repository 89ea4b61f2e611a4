-- What goes before a caller's statement: the rate limit in a transaction of its own, then the context.

-- name: begin :exec
-- Opens a transaction of several statements; a single statement is a transaction by its Sync.
BEGIN

-- name: commit :exec
-- Ends it; also ends the counting transaction, so that a request that fails is still counted.
COMMIT

-- name: rollback :exec
-- Undoes it.
ROLLBACK

-- name: savepoint :exec
-- Begins a part that may be undone by itself. A part in another has the same name, which then means the inner one.
SAVEPOINT part

-- name: rollback_to_savepoint :exec
-- Undoes the part.
ROLLBACK TO SAVEPOINT part

-- name: release_savepoint :exec
-- Ends the part.
RELEASE SAVEPOINT part

-- name: forget :exec
-- After a migration: what was prepared may return other columns by now.
DEALLOCATE ALL

-- name: keep_announcements :exec
-- Once a connection: what its transactions announce waits for send_announcements.
SELECT set_config('app.announcements', E'\n', false)

-- name: send_announcements :exec
-- Behind a transaction, in one of its own.
SELECT send_announcements()

-- name: become_user :exec
-- The role is a statement of its own because a SECURITY DEFINER function may not set it.
SELECT set_config('role', 'authenticated_users', true)

-- name: count_api_key_request :maybe
-- Raises CB429 when the key's hourly budget is used up, and whatever follows in the pipeline is skipped.
SELECT request_limit, remaining, reset_seconds FROM count_api_key_request(%(credential)s)

-- name: count_session_request :maybe
-- The same for a person's session, whose limit comes from the configuration.
SELECT request_limit, remaining, reset_seconds FROM count_session_request(%(credential)s, %(requests_an_hour)s)

-- name: count_address_request :maybe
-- The same for whoever has no credential, by the address they call from.
SELECT request_limit, remaining, reset_seconds FROM count_address_request(%(credential)s, %(requests_an_hour)s)

-- name: authenticate_api_key :one
-- Sets the context; raises CB401 when the key is bad, so that the statement behind it never runs.
SELECT user_id, organization_id, api_key_id FROM authenticate_api_key(%(credential)s, %(request_id)s, %(ip_address)s, %(user_agent)s)

-- name: authenticate_session :one
-- The same with an access token.
SELECT user_id, session_id FROM authenticate_session(%(credential)s, %(request_id)s, %(ip_address)s, %(user_agent)s)

-- name: set_context :exec
-- Who asks is nobody (registration, login) or a user that the service itself acts for.
SELECT set_context(%(user_id)s, NULL, NULL, NULL, NULL, %(request_id)s, %(ip_address)s, %(user_agent)s)
