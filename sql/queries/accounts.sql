-- What operators do to accounts, on the command line, as the owner of the schema.

-- name: set_active :one
-- Whose account it was; NULL where nobody has the address.
SELECT set_user_active(%(email)s, %(is_active)s) AS user_id

-- name: set_operator_permission :one
-- The same.
SELECT set_operator_permission(%(email)s, %(permission)s, %(is_given)s) AS user_id
