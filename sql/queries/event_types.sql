-- What webhooks can hear of.

-- name: get :maybe
-- One by its name.
SELECT name, aggregate_type, verb, is_status, columns FROM event_types WHERE name = %(name)s

-- name: list :many
-- Read from the triggers and the tables themselves.
SELECT name, aggregate_type, verb, is_status, columns FROM event_types
WHERE %(aggregate_type)s::text IS NULL OR aggregate_type = %(aggregate_type)s
ORDER BY name
