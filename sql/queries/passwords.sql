-- Passwords: one's own, and those that were forgotten.

-- name: request_reset :one
-- A mail for whoever has the address: the same work whether or not anybody does.
SELECT request_mail('reset_password', %(email)s, %(token_hash)s, %(secret)s, %(account)s, %(address)s) AS wait_seconds

-- name: begin_reset :one
-- Before a password is hashed for nothing.
SELECT is_valid, wait_seconds FROM begin_password_reset(%(token_hash)s, %(address)s)

-- name: reset :one
-- Uses the token up, and ends every session.
SELECT reset_password(%(token_hash)s, %(password_hash)s, %(address)s) AS is_done

-- name: begin_check :one profile:update
-- What the caller's password is compared with, or how long to wait.
SELECT password_hash, wait_seconds FROM begin_password_check()

-- name: fail_check :exec
-- For the record.
SELECT record_password_failure()

-- name: replace :one
-- Ends every other session.
SELECT change_password(%(known_hash)s, %(new_hash)s) AS is_done
