-- Backups. Run by operations/backup.py as the administrator.

-- name: export_snapshot :one
-- The dump and the digests see the same moment.
SELECT pg_export_snapshot() AS snapshot

-- name: digests :many
-- Every table with its content's digest; partitions count with their parent, archived ones by themselves.
SELECT relation.oid::regclass::text AS name, content.row_count, content.digest
FROM pg_class AS relation
CROSS JOIN LATERAL table_digest(relation.oid) AS content
WHERE relation.relkind IN ('r', 'p') AND NOT relation.relispartition
  AND relation.relnamespace IN ('public'::regnamespace, 'archive'::regnamespace)
ORDER BY 1

-- name: is_used :one
-- Whether a database is there, and who is connected to it.
SELECT EXISTS (SELECT FROM pg_database WHERE datname = %(name)s) AS is_there,
    (SELECT count(*) FROM pg_stat_activity WHERE datname = %(name)s AND pid <> pg_backend_pid()) AS connections

-- name: cut_connections :exec
-- Ahead of a swap: nobody writes into the database that is put away.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %(name)s AND pid <> pg_backend_pid()

-- name: has_record :one
-- Whether the database keeps a record of backups; one that is not ours, or is older, does not.
SELECT to_regprocedure('record_backup(text, bigint, text, boolean)') IS NOT NULL AS is_there

-- name: record :exec
-- A backup that was made, or was found to be what was dumped.
SELECT record_backup(%(name)s, %(size_bytes)s, %(sha256)s, %(is_verified)s)
