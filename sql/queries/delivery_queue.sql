-- The worker's side of webhook deliveries: everything in batches, through definer functions.

-- name: claim :many
-- What is due, under new leases: round robin over organizations and webhooks, within the limits of each. The last row is
-- no delivery where the look has not gone all the way round.
SELECT * FROM claim_deliveries(%(batch)s, %(lease_seconds)s, %(after_organization)s, %(at_once)s, %(at_once_of_organization)s)

-- name: complete :many
-- What became of attempts; gives those whose lease was still held, and whether they are taken now or to come again. The reports come as one JSON array: as a PostgreSQL
-- array each of them is quoted anew, which took the worker as long as signing them.
SELECT * FROM complete_deliveries(%(ids)s, %(created_ats)s, %(webhook_ids)s, %(lease_tokens)s, %(outcomes)s, %(delays)s,
    ARRAY(SELECT jsonb_array_elements(%(reports)s::jsonb)))

-- name: extend :many
-- Leases of attempts that take long; gives those that are still held.
SELECT extend_delivery_leases(%(ids)s, %(lease_tokens)s, %(lease_seconds)s) AS id

-- name: release :exec
-- What is not going to be attempted is anybody's again.
SELECT release_deliveries(%(ids)s, %(lease_tokens)s)

-- name: recover :one
-- Leases of workers that are gone.
SELECT recover_deliveries() AS recovered

-- name: waiting :one
-- For the metrics: how many are due, and for how many seconds the oldest has been.
SELECT * FROM delivery_queue()
