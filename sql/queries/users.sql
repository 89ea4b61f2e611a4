-- People: registration, signing in, one's own profile.

-- name: get :maybe
-- Oneself.
SELECT * FROM user_profiles WHERE id = current_user_id()

-- name: update :maybe profile:update
-- A JSON merge patch on one's own profile.
UPDATE user_profiles AS target SET (name, avatar_url, preferences) = (
    SELECT merged.name, merged.avatar_url, coalesce(merged.preferences, '{}')
    FROM jsonb_populate_record(NULL::user_profiles, jsonb_merge_patch(to_jsonb(target), %(changes)s)) AS merged
)
WHERE id = current_user_id() AND (%(versions)s::integer[] IS NULL OR version = ANY (%(versions)s))
RETURNING *

-- name: get_activity :one
-- What one did lately, as of the last refresh; nothing yet for somebody who came after it.
SELECT person.id, person.name, person.email, coalesce(seen.integrations_created, 0) AS integrations_created,
    coalesce(seen.workflows_executed, 0) AS workflows_executed, seen.last_activity_at,
    coalesce(seen.total_actions_30d, 0) AS total_actions_30d, views_refreshed_at() AS refreshed_at
FROM user_profiles AS person LEFT JOIN user_activity_statistics AS seen ON seen.id = person.id
WHERE person.id = current_user_id()

-- name: close :maybe profile:update
-- Softly: sessions, keys and memberships end at once.
SELECT closed AS id FROM close_account(%(versions)s) AS closed

-- name: register :one
-- With a personal organization; gives its id.
SELECT register_user(%(user_id)s, %(email)s, %(name)s, %(password_hash)s) AS organization_id

-- name: begin_login :one
-- Counts the attempt, and gives what the password is compared with or how long to wait.
SELECT user_id, password_hash, wait_seconds FROM begin_login(%(account)s, %(address)s, %(email)s)

-- name: fail_login :exec
-- For the record.
SELECT record_login_failure(%(user_id)s, %(account)s)
