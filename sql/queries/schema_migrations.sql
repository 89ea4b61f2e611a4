-- Which migrations ran. Used by database/migrations.py and readiness.

-- name: lock :one
-- Of many processes that start at once one prepares the database: roles, then migrations.
SELECT pg_try_advisory_lock(%(key)s)

-- name: use_utc :exec
-- Bounds of partitions are dates: they must not depend on the time zone of whoever migrates.
SELECT set_config('timezone', 'UTC', false)

-- name: take_time :exec
-- The administrator's login may have a limit that is meant for requests; building an index takes as long as it takes.
SELECT set_config('statement_timeout', '0', false), set_config('idle_in_transaction_session_timeout', '0', false)

-- name: limit_waiting :exec
-- While a migration waits for a lock, whoever comes after it waits behind it.
SELECT set_config('lock_timeout', %(duration)s, %(in_transaction)s)

-- name: become_owner :exec
-- Whatever a migration creates belongs to the owner, not to the administrator who happened to run it.
SET ROLE ccb_owner

-- name: create_table :exec
-- The migrator's own memory; the service reads it to know whether it is current.
CREATE TABLE IF NOT EXISTS schema_migrations (
    number INTEGER NOT NULL,
    name VARCHAR(255) NOT NULL,
    checksum VARCHAR(64) NOT NULL,
    ran_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT pk_schema_migrations PRIMARY KEY (number)
)

-- name: ran :many
-- What has run, with checksums, so that an edited file is noticed.
SELECT number, checksum FROM schema_migrations

-- name: record :exec
-- In the migration's own transaction.
INSERT INTO schema_migrations (number, name, checksum) VALUES (%(number)s, %(name)s, %(checksum)s)

-- name: is_valid :maybe
-- An index whose building was broken off is there, but it is not valid.
SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%(name)s)

-- name: is_partitioned :one
-- An index of a partitioned table cannot be built concurrently, those of its partitions can.
SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(%(name)s)

-- name: partitions_without :many
-- The partitions that lack an index of their parent; those that were made after the parent's index have it.
SELECT child.relname FROM pg_inherits
JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent = to_regclass(%(parent)s) AND NOT inhdetachpending AND NOT EXISTS (
    SELECT FROM pg_index
    JOIN pg_inherits AS attached ON attached.inhrelid = indexrelid
    WHERE indrelid = child.oid AND attached.inhparent = to_regclass(%(index)s)
)
ORDER BY child.relname

-- name: newest :one
-- Readiness: the schema is as new as this program expects.
SELECT newest_migration() AS number
