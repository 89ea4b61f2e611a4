-- Notifications, heard by database/notifications.py.

-- name: listen :exec
-- Every change of an aggregate, with its table, id and organization, when it is committed (ruling 27).
LISTEN table_changes
