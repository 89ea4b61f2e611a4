-- How events are compared with the rows that they tell of, one kind of aggregate at a time. operations/event_verification.py
-- puts in the table ({rows}), where its events are ({events}: archived months too), what its columns are when nobody said
-- ({defaults}), and which rows retention may have removed ({expired}).

-- name: known
-- The tables whose changes are events, the aggregate that each is, and the column that partitions it.
SELECT trigger.tgrelid::regclass::text AS name, split_part(encode(trigger.tgargs, 'escape'), '\000', 1) AS aggregate,
    partitioned.attname AS time_column,
    ARRAY(
        SELECT format('%L, to_jsonb(%s)', attname, pg_get_expr(adbin, adrelid))
        FROM pg_attribute JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attrelid = trigger.tgrelid
    ) AS defaults
FROM pg_trigger AS trigger
JOIN pg_class AS relation ON relation.oid = trigger.tgrelid AND NOT relation.relispartition
LEFT JOIN pg_partitioned_table ON partrelid = relation.oid
LEFT JOIN pg_attribute AS partitioned ON partitioned.attrelid = relation.oid AND partitioned.attnum = partattrs[0]
WHERE trigger.tgfoid = 'record_event'::regproc
GROUP BY 1, 2, 3, trigger.tgrelid
ORDER BY 1

-- name: archived
-- Months of events that were moved away.
SELECT relname::text AS name FROM pg_class
WHERE relnamespace = 'archive'::regnamespace AND relkind = 'r' AND relname LIKE 'events\_y%' ORDER BY 1

-- name: month
-- What the events of one table are folded from.
SELECT aggregate_type, aggregate_id, version, event_data FROM {month}

-- name: expired
-- Of what is kept for a time only, whatever is older than all the rest may have gone.
(expected ->> {time_name})::timestamptz < coalesce((SELECT min({time_column}) FROM {rows}), 'infinity')

-- name: counts
-- How many there are of each kind.
SELECT aggregate_type AS aggregate, count(DISTINCT aggregate_id) AS aggregates, count(*) AS events
FROM {events} AS every_event GROUP BY 1 ORDER BY 1

-- name: faults
-- One row for each fault: a gap or a repetition in the versions, a row too many or too few, a column that differs. Of a key
-- that comes twice in an object the last one stays, which makes the fold: the newest value of each column.
WITH recorded AS (
    SELECT aggregate_id, version, event_data FROM {events} AS every_event WHERE aggregate_type = %(aggregate)s
),
versions AS (
    SELECT aggregate_id, count(*) AS events, count(DISTINCT version) AS distinct_versions, min(version) AS first,
        max(version) AS last, (array_agg(event_data ? 'new' ORDER BY version DESC))[1] AS is_there
    FROM recorded GROUP BY aggregate_id
),
folded AS (
    SELECT aggregate_id, jsonb_object_agg(entry.key, entry.value ORDER BY version) AS state
    FROM recorded CROSS JOIN LATERAL jsonb_each(event_data -> 'new') AS entry
    GROUP BY aggregate_id
),
actual AS (
    SELECT aggregate_uuid(entry.id::text) AS aggregate_id,
        to_jsonb(entry) - secret_columns() - bookkeeping_columns(%(table)s) AS state
    FROM {rows} AS entry
),
compared AS (
    SELECT coalesce(versions.aggregate_id, actual.aggregate_id) AS aggregate_id, versions.events, versions.distinct_versions,
        versions.first, versions.last, coalesce(versions.is_there, false) AS is_there,
        {defaults} || coalesce(folded.state, '{{}}') AS expected, actual.state AS found
    FROM versions
    LEFT JOIN folded ON folded.aggregate_id = versions.aggregate_id
    FULL JOIN actual ON actual.aggregate_id = versions.aggregate_id
)
SELECT aggregate_id::text, faults.fault, faults.column_name
FROM compared
CROSS JOIN LATERAL (
    SELECT 'the row has no events' AS fault, NULL AS column_name WHERE events IS NULL
    UNION ALL
    SELECT 'a version is there twice', NULL WHERE events <> distinct_versions
    UNION ALL
    SELECT 'a version is missing', NULL WHERE first <> 1 OR distinct_versions <> last - first + 1
    UNION ALL
    SELECT 'the row is missing', NULL WHERE is_there AND found IS NULL AND NOT {expired}
    UNION ALL
    SELECT 'the row was deleted', NULL WHERE events IS NOT NULL AND NOT is_there AND found IS NOT NULL
    UNION ALL
    SELECT 'differs', entry.key FROM jsonb_each(found) AS entry
    WHERE is_there AND entry.value IS DISTINCT FROM coalesce(expected -> entry.key, 'null')
) AS faults
ORDER BY 1, 2, 3
