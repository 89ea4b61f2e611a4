-- Steps of partition maintenance, by the owner and each in a transaction of its own: operations/partitions.py.

-- name: pending :maybe
-- What an interrupted DETACH … CONCURRENTLY left half detached; of a table at most one.
SELECT relname AS name FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = to_regclass(%(parent)s) AND inhdetachpending

-- name: is_attached :one
-- Whether a table is still a partition, wholly or half.
SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(%(name)s)) AS is_attached

-- name: expired :many
-- Whole months that are kept for no longer.
SELECT relname AS name FROM expired_months(to_regclass(%(parent)s), %(keep)s::interval, %(moment)s::timestamptz) AS month
JOIN pg_class ON pg_class.oid = month

-- name: archivable :many
-- Months of events that go to the archive.
SELECT relname AS name FROM archivable_months(%(keep)s::interval, moment => %(moment)s::timestamptz) AS month
JOIN pg_class ON pg_class.oid = month

-- name: stranded :many
-- Months that stand alone; whether they end before the limit tells what was about to be done with them.
SELECT name, lower_bound, upper_bound, upper_bound <= retention_limit(%(keep)s::interval, %(moment)s::timestamptz) AS is_over,
    pg_stat_get_live_tuples(to_regclass(name)) AS row_estimate
FROM stranded_months(to_regclass(%(parent)s))

-- name: cover :exec
-- Time that no partition covers.
SELECT cover_gaps(to_regclass(%(parent)s))

-- name: place :exec
-- A month that was detached for nothing.
SELECT place_month(to_regclass(%(parent)s), %(name)s, %(lower_bound)s::timestamptz, %(upper_bound)s::timestamptz)

-- name: shelve :exec
-- To the archive, rows and all.
SELECT shelve_month(%(name)s)

-- name: prepare :exec
-- So that the month need not be read while it is attached.
SELECT prepare_archived_month(%(name)s)

-- name: bring_back :exec
-- Out of the archive.
SELECT bring_back_month(%(name)s)

-- name: month_of_events :maybe
-- A month that is attached, by its name.
SELECT relname AS name FROM partition_ranges('events') JOIN pg_class ON pg_class.oid = partition
WHERE is_month AND relname = %(name)s
