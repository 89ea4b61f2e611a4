-- Metrics: indexes that the tenant leads, the writer's name in the database's hand, and what queries over many points run on.

-- Each index costs every point that is written. Of the document's three btrees none served a query of a tenant: two now
-- do, led by organization_id, and the types, of which there are three, are left to a BRIN index.
DROP INDEX idx_metrics_name, idx_metrics_org_name, idx_metrics_integration, idx_metrics_org_integration, idx_metrics_type;
CREATE INDEX idx_metrics_name ON metrics (organization_id, metric_name, recorded_at, id);
CREATE INDEX idx_metrics_integration ON metrics (organization_id, integration_id, recorded_at);
CREATE INDEX idx_metrics_type ON metrics USING brin (metric_type);
CREATE INDEX idx_metrics_org_recorded ON metrics (organization_id, recorded_at, id);

-- nobody writes in another's name
ALTER POLICY metrics_insert ON metrics WITH CHECK (
    organization_id = ANY (ARRAY(SELECT permitted_organizations('metrics:create')))
    AND (user_id IS NULL OR user_id = (SELECT current_user_id()))
);

GRANT SELECT ON metrics TO ccb_definer;
CREATE POLICY metrics_definer ON metrics FOR SELECT TO ccb_definer USING (true);

-- The foreign key would refuse the batch without saying which of ten thousand points is at fault. It is checked without
-- row level security, as here: a writer of metrics need not see integrations.
CREATE FUNCTION unknown_integrations(organization_id uuid, integration_ids uuid[]) RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    tenant uuid := coalesce($1, current_organization_id(), personal_organization_id());
BEGIN
    IF NOT EXISTS (SELECT FROM permitted_organizations('metrics:create') AS permitted WHERE permitted = tenant) THEN
        RAISE EXCEPTION 'metrics may not be written here' USING ERRCODE = '42501';
    END IF;
    RETURN QUERY SELECT wanted FROM unnest($2) AS wanted
    WHERE NOT EXISTS (SELECT FROM integrations WHERE integrations.organization_id = tenant AND integrations.id = wanted);
END
$$;

-- Linear interpolation between the two nearest values, as percentile_cont() does it, which takes floating point only:
-- turning a million numerics into that takes longer than everything else.
CREATE FUNCTION interpolated(sorted numeric[], shares numeric[]) RETURNS numeric[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY(
        SELECT sorted[low + 1] + (sorted[ceil(place)::integer + 1] - sorted[low + 1]) * (place - low)
        FROM unnest(shares) WITH ORDINALITY AS wanted (share, number)
        CROSS JOIN LATERAL (SELECT share * (cardinality(sorted) - 1) AS place) AS exact
        CROSS JOIN LATERAL (SELECT floor(place)::integer AS low) AS below
        ORDER BY number
    );
COMMENT ON FUNCTION interpolated(numeric[], numeric[]) IS 'Percentiles of sorted values; shares are between 0 and 1.';

-- Containment of labels is not leakproof, so under row level security it could drive no plan: the tenant filter is
-- applied here instead. Bucket by bucket along an index, so that each bucket reads its own stretch of its own partitions
-- and nothing is sorted as a whole; planned anew each time, because a filter that is not given should not be there.
CREATE FUNCTION metric_buckets(
    metric_name text, organization_id uuid, integration_id uuid, labels jsonb, recorded_after timestamptz,
    recorded_before timestamptz, width interval, grouping_labels text[], shares numeric[], most integer
) RETURNS TABLE (
    bucket timestamptz, grouped text[], count bigint, sum numeric, avg numeric, min numeric, max numeric, percentiles numeric[]
)
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1000
    SET search_path = public, pg_temp
    SET timezone = 'UTC'
    SET plan_cache_mode = force_custom_plan
    SET enable_seqscan = off
    SET enable_bitmapscan = off
    SET enable_sort = on
    SET work_mem = '32MB'
AS $$
#variable_conflict use_column
DECLARE
    tenants uuid[] := ARRAY(
        SELECT permitted FROM permitted_organizations('metrics:read') AS permitted WHERE $2 IS NULL OR permitted = $2);
    first_bucket timestamptz := date_bin($7, $5, timestamptz '2001-01-01'); -- a Monday, so that weeks begin on one
BEGIN
    -- twice, because sorted values would have every grouping sorted, wanted or not
    IF $9 IS NULL THEN
        RETURN QUERY
        SELECT starts.moment, ARRAY[found.label_1, found.label_2, found.label_3], found.count, found.sum, found.avg,
            found.min, found.max, NULL::numeric[]
        FROM generate_series(first_bucket, $6 - interval '1 microsecond', $7) AS starts (moment)
        CROSS JOIN LATERAL (
            SELECT (metrics.labels ->> $8[1]) COLLATE "C" AS label_1, (metrics.labels ->> $8[2]) COLLATE "C" AS label_2,
                (metrics.labels ->> $8[3]) COLLATE "C" AS label_3,
                count(*), sum(metrics.value), avg(metrics.value), min(metrics.value), max(metrics.value)
            FROM metrics
            WHERE metrics.organization_id = ANY (tenants) AND metrics.metric_name = $1
              AND metrics.recorded_at >= $5 AND metrics.recorded_at < $6
              AND metrics.recorded_at >= starts.moment AND metrics.recorded_at < starts.moment + $7
              AND ($3 IS NULL OR metrics.integration_id = $3)
              AND ($4 IS NULL OR metrics.labels @> $4)
            GROUP BY 1, 2, 3
        ) AS found
        ORDER BY 1, 2 LIMIT most;
    ELSE
        RETURN QUERY
        SELECT starts.moment, ARRAY[found.label_1, found.label_2, found.label_3], found.count, found.sum, found.avg,
            found.min, found.max, interpolated(found.sorted, $9)
        FROM generate_series(first_bucket, $6 - interval '1 microsecond', $7) AS starts (moment)
        CROSS JOIN LATERAL (
            SELECT (metrics.labels ->> $8[1]) COLLATE "C" AS label_1, (metrics.labels ->> $8[2]) COLLATE "C" AS label_2,
                (metrics.labels ->> $8[3]) COLLATE "C" AS label_3,
                count(*), sum(metrics.value), avg(metrics.value), min(metrics.value), max(metrics.value),
                array_agg(metrics.value ORDER BY metrics.value) AS sorted
            FROM metrics
            WHERE metrics.organization_id = ANY (tenants) AND metrics.metric_name = $1
              AND metrics.recorded_at >= $5 AND metrics.recorded_at < $6
              AND metrics.recorded_at >= starts.moment AND metrics.recorded_at < starts.moment + $7
              AND ($3 IS NULL OR metrics.integration_id = $3)
              AND ($4 IS NULL OR metrics.labels @> $4)
            GROUP BY 1, 2, 3
        ) AS found
        ORDER BY 1, 2 LIMIT most;
    END IF;
END
$$;

REVOKE ALL ON FUNCTION unknown_integrations(uuid, uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION unknown_integrations(uuid, uuid[]) TO authenticated_users;
REVOKE ALL ON FUNCTION metric_buckets(text, uuid, uuid, jsonb, timestamptz, timestamptz, interval, text[], numeric[], integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION metric_buckets(text, uuid, uuid, jsonb, timestamptz, timestamptz, interval, text[], numeric[], integer) TO authenticated_users;
-- last, because only an owner grants
ALTER FUNCTION unknown_integrations(uuid, uuid[]) OWNER TO ccb_definer;
ALTER FUNCTION metric_buckets(text, uuid, uuid, jsonb, timestamptz, timestamptz, interval, text[], numeric[], integer) OWNER TO ccb_definer;
