-- Statements that run outside of transactions, with places in braces for the tables: operations/partitions.py fills them in.

-- name: detach
-- Waits for whoever uses the table, and nobody waits for it.
ALTER TABLE {parent} DETACH PARTITION {partition} CONCURRENTLY

-- name: finish_detaching
-- What an interrupted one left.
ALTER TABLE {parent} DETACH PARTITION {partition} FINALIZE

-- name: drop
-- Short, though it locks what the table's keys refer to.
DROP TABLE {partition}
