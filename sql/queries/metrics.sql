-- Measurements: written many at a time, read one by one or bucket by bucket.

-- name: create :exec metrics:create
-- A batch in one statement. COPY into a table with row level security is refused, and this reaches most of its rate.
INSERT INTO metrics (metric_name, metric_type, value, labels, integration_id, user_id, organization_id, recorded_at)
SELECT point.metric_name, point.metric_type, point.value, coalesce(point.labels, '{}'), point.integration_id,
    writer.user_id, writer.organization_id, coalesce(point.recorded_at, CURRENT_TIMESTAMP)
FROM (
    SELECT current_user_id() AS user_id,
        coalesce(%(organization_id)s::uuid, current_organization_id(), personal_organization_id()) AS organization_id
    OFFSET 0
) AS writer
CROSS JOIN jsonb_to_recordset(%(batch)s::jsonb -> 'points') AS point (
    metric_name text, metric_type text, value numeric, labels jsonb, integration_id uuid, recorded_at timestamptz
)

-- name: unknown_integrations :many metrics:create
-- Which of these the organization does not have, so that the points at fault can be told.
SELECT integration_id
FROM unknown_integrations(%(organization_id)s, %(integration_ids)s::uuid[]) AS missing (integration_id)

-- name: list :page metrics:read
-- sort: recorded_at
-- sized: labels
-- Points whatever their name. Every filter may be left out; bounds of time, also those left out, prune partitions.
SELECT * FROM metrics
WHERE (%(metric_type)s::text IS NULL OR metric_type = %(metric_type)s)
  AND (%(integration_id)s::uuid IS NULL OR integration_id = %(integration_id)s)
  AND (%(labels)s::jsonb IS NULL OR labels @> %(labels)s)
  AND recorded_at >= coalesce(%(recorded_after)s::timestamptz, '-infinity')
  AND recorded_at < coalesce(%(recorded_before)s::timestamptz, 'infinity')

-- name: list_of_name :page metrics:read
-- sort: recorded_at
-- sized: labels
-- The same of one metric, by an index of its own: among all of a tenant's points a rare one would be far to seek.
SELECT * FROM metrics
WHERE metric_name = %(metric_name)s
  AND (%(metric_type)s::text IS NULL OR metric_type = %(metric_type)s)
  AND (%(integration_id)s::uuid IS NULL OR integration_id = %(integration_id)s)
  AND (%(labels)s::jsonb IS NULL OR labels @> %(labels)s)
  AND recorded_at >= coalesce(%(recorded_after)s::timestamptz, '-infinity')
  AND recorded_at < coalesce(%(recorded_before)s::timestamptz, 'infinity')

-- name: list_series :page
-- sort: last_recorded_at, metric_name
-- sized: metric_name, labels
-- What is measured: from name to name by the index, each with its newest point; millions of points between are not read.
WITH RECURSIVE series AS (
    SELECT tenant.id AS organization_id,
        (SELECT min(metrics.metric_name) FROM metrics WHERE metrics.organization_id = tenant.id) AS metric_name
    FROM permitted_organizations('metrics:read') AS tenant (id)
    WHERE %(organization_id)s::uuid IS NULL OR tenant.id = %(organization_id)s
    UNION ALL
    SELECT series.organization_id,
        (SELECT min(metrics.metric_name) FROM metrics
         WHERE metrics.organization_id = series.organization_id AND metrics.metric_name > series.metric_name)
    FROM series WHERE series.metric_name IS NOT NULL
)
SELECT md5(series.organization_id || series.metric_name)::uuid AS id, series.organization_id, series.metric_name, newest.*
FROM series
CROSS JOIN LATERAL (
    SELECT metrics.metric_type, metrics.labels, metrics.recorded_at AS last_recorded_at
    FROM metrics
    WHERE metrics.organization_id = series.organization_id AND metrics.metric_name = series.metric_name
    ORDER BY metrics.recorded_at DESC LIMIT 1
) AS newest
WHERE %(prefix)s::text IS NULL OR starts_with(series.metric_name, %(prefix)s)

-- name: buckets :many metrics:read
-- A metric over time, by a definer function that applies the tenant itself.
SELECT found.bucket, grouping.labels, found.count, found.sum, found.avg, found.min, found.max, wanted.percentiles
FROM metric_buckets(
    %(metric_name)s::text, %(organization_id)s::uuid, %(integration_id)s::uuid, %(labels)s::jsonb,
    %(recorded_after)s::timestamptz, %(recorded_before)s::timestamptz, %(bucket)s::interval, %(group_by)s::text[],
    CASE WHEN %(percentiles)s::text[] IS NOT NULL THEN
        ARRAY(SELECT percentile::numeric / 100 FROM unnest(%(percentiles)s::text[]) AS percentile)
    END,
    %(most)s::integer
) AS found
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_object_agg(label.name, label.value), '{}') AS labels
    FROM unnest(%(group_by)s::text[], found.grouped) AS label (name, value)
    WHERE label.value IS NOT NULL
) AS grouping
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_object_agg(share.name, trim_scale(share.value)), '{}') AS percentiles
    FROM unnest(%(percentiles)s::text[], found.percentiles) AS share (name, value)
    WHERE share.name IS NOT NULL
) AS wanted
