-- Samples over time, of which the operators' page draws its charts.

-- name: add :exec
-- What one process counted since it last did so.
SELECT add_samples(%(names)s, %(labels)s, %(amounts)s)

-- name: take :one
-- What waits and what ended; once a minute, whichever worker comes first.
SELECT take_samples() AS taken

-- name: take_sizes :one
-- How large tables are, once an hour. By itself, for it waits for whoever has locked one.
SELECT sample_table_sizes() AS taken

-- name: trends :many operations:read
-- By steps from a moment on: counts added up, levels at their highest.
SELECT name, label, begins_at, value FROM report_trends(%(names)s, %(since)s, %(step)s)
