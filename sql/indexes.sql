-- How a migration's CREATE INDEX CONCURRENTLY is done: see database/indexes.py, which takes {unique}, {name}, {table} and
-- {definition} out of the migration's own text.

-- name: build
-- Blocks nobody.
CREATE {unique} INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table} {definition}

-- name: declare
-- Of a partitioned table: valid as soon as each partition has its part; those that are made from now on begin with it.
CREATE {unique} INDEX IF NOT EXISTS {name} ON ONLY {table} {definition}

-- name: attach
-- A partition's part.
ALTER INDEX {name} ATTACH PARTITION {part}

-- name: discard
-- What a build that failed has left: slow to write, and of no use.
DROP INDEX CONCURRENTLY IF EXISTS {name}
