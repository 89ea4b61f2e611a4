-- Plans and limits, from the command line.

-- name: set_plan :maybe
-- What is not given stays.
SELECT id, plan, limits, usage_stats FROM set_plan(%(organization_id)s, %(plan)s, %(limits)s)

-- name: recount_usage :one
-- For rows that were loaded past the triggers.
SELECT recount_usage(%(organization_id)s) AS usage_stats
