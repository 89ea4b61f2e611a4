-- E-mail addresses of accounts.

-- name: queue_verification :exec
-- In the transaction of a registration.
SELECT queue_verification(%(email)s, %(token_hash)s, %(secret)s)

-- name: request_verification :one
-- A mail for whoever has the address and has not shown it yet: the same work whether or not anybody does.
SELECT request_mail('verify_email', %(email)s, %(token_hash)s, %(secret)s, %(account)s, %(address)s) AS wait_seconds

-- name: request_change :one
-- A mail to the new address, which takes the old one's place once it is confirmed.
SELECT request_email_change(%(known_hash)s, %(email)s, %(token_hash)s, %(secret)s, %(account)s) AS wait_seconds

-- name: confirm :one
-- Uses the token up.
SELECT is_confirmed, wait_seconds FROM confirm_email(%(token_hash)s, %(address)s)
