-- Sessions of people.

-- name: begin :exec
-- After the password was right.
SELECT begin_session(%(user_id)s, %(session_id)s, %(session_token)s, %(refresh_token)s, %(access_seconds)s, %(refresh_seconds)s, %(account)s, %(address)s)

-- name: refresh :one
-- rotated, repeated within the grace, reused (which ends the session) or ended.
SELECT refresh_session(%(session_id)s, %(presented)s, %(session_token)s, %(refresh_token)s, %(access_seconds)s, %(grace_seconds)s) AS outcome

-- name: get :maybe sessions:read
-- One of one's own that goes on.
SELECT * FROM session_listings WHERE id = %(session_id)s

-- name: list :page
-- sort: created_at
-- sized: user_agent
-- One's own that go on. Without a permission in the header: sessions belong to no organization.
SELECT * FROM session_listings

-- name: end :exec sessions:delete
-- One of one's own.
UPDATE user_sessions SET ended_at = CURRENT_TIMESTAMP WHERE id = %(session_id)s AND ended_at IS NULL

-- name: end_current :exec
-- Signing out.
UPDATE user_sessions SET ended_at = CURRENT_TIMESTAMP WHERE id = current_session_id() AND ended_at IS NULL

-- name: end_all :exec sessions:delete
-- Signing out everywhere.
UPDATE user_sessions SET ended_at = CURRENT_TIMESTAMP WHERE user_id = current_user_id() AND ended_at IS NULL

-- name: lacking :maybe
-- Whether nothing was ended because there was nothing, or because the key may not.
SELECT wanted AS permission FROM unnest(ARRAY['sessions:read', 'sessions:delete']) AS wanted WHERE NOT key_permits(wanted) LIMIT 1
