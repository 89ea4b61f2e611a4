-- Which migrations ran. Used by database/migrations.py and readiness.

-- name: lock :exec
-- Many processes that start at once wait here for the one that migrates.
SELECT pg_advisory_lock(%(key)s)

-- name: use_utc :exec
-- Bounds of partitions are dates: they must not depend on the time zone of whoever migrates.
SELECT set_config('timezone', 'UTC', false)

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

-- name: newest :one
-- Readiness: the schema is as new as this program expects.
SELECT newest_migration() AS number
