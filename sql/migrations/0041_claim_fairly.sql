-- Claims that nobody can starve: an organization has a limit of attempts in flight, webhooks that have no room are passed
-- over instead of being counted, and a look that ends before it has gone round says where, so that the next one goes on.

ALTER TABLE webhook_delivery_leases ADD COLUMN organization_id UUID;
SET LOCAL ROLE ccb_definer;
UPDATE webhook_delivery_leases AS lease SET organization_id = webhooks.organization_id
FROM webhooks WHERE webhooks.id = lease.webhook_id;
-- a worker of the version before claims again when it has started anew
-- squawk-ignore ban-drop-function
DROP FUNCTION claim_deliveries(integer, double precision, uuid, integer);
-- only the function above called it
-- squawk-ignore ban-drop-function
DROP FUNCTION due_webhooks(uuid, integer);
SET LOCAL ROLE ccb_owner;
-- leases are as many rows as attempts are in flight
-- as above
-- squawk-ignore adding-not-nullable-field
ALTER TABLE webhook_delivery_leases ALTER COLUMN organization_id SET NOT NULL;
-- as above
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX idx_webhook_delivery_leases_webhook;
-- as above
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX idx_webhook_delivery_leases_org_webhook ON webhook_delivery_leases (organization_id, webhook_id);

-- How many attempts of a webhook may begin now: by its concurrency or order, and by its rate.
CREATE FUNCTION webhook_room(hook webhooks, at_once integer, moment timestamptz) RETURNS bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    room bigint;
    arrival timestamptz;
BEGIN
    room := CASE WHEN hook.is_ordered THEN 1 ELSE coalesce(hook.max_concurrency, at_once) END - (
        SELECT count(*) FROM webhook_delivery_leases AS lease
        WHERE lease.organization_id = hook.organization_id AND lease.webhook_id = hook.id);
    IF hook.rate_limit IS NOT NULL THEN
        arrival := (SELECT arrival_at FROM rate_limits WHERE subject = 'webhook ' || hook.id);
        -- a tenth of a second's worth at once, and one at least
        room := least(room,
            floor(hook.rate_limit * extract(epoch FROM moment + interval '0.1 s' - greatest(arrival, moment)))
                + CASE WHEN arrival > moment THEN 0 ELSE 1 END);
    END IF;
    RETURN room;
END
$$;

CREATE FUNCTION webhook_has_room(webhook_id uuid, at_once integer, moment timestamptz) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN coalesce((
        SELECT webhook_room(webhooks, at_once, moment) > 0 FROM webhooks
        WHERE webhooks.id = $1 AND webhooks.is_active AND webhooks.deleted_at IS NULL), false);
END
$$;

-- Webhooks with something due and room for it, going round the organizations from behind `after_organization`. Each step
-- is one look into the index. It ends when it has found `most` webhooks, or after some hundreds of steps: then `ended_at` is
-- the organization behind which the next look begins. It is NULL where the look has gone all the way round.
CREATE FUNCTION due_webhooks(
    after_organization uuid, most integer, at_once integer, at_once_of_organization integer,
    OUT hooks uuid[], OUT ended_at uuid
)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET enable_bitmapscan = off
    SET enable_sort = off
AS $$
DECLARE
    nil CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    last CONSTANT uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
    many CONSTANT integer := 64; -- webhooks of one organization that are looked at in the order of their ids
    most_steps CONSTANT integer := greatest(256, 4 * most);
    moment timestamptz := clock_timestamp();
    steps integer := 0;
    is_second_round boolean := after_organization IS NULL;
    tenant uuid := coalesce(after_organization, nil);
    hook uuid := CASE WHEN after_organization IS NULL THEN nil ELSE last END;
    waiting record;
    seen integer := 0;
    start uuid;
    of_tenant uuid[] := '{}';
BEGIN
    hooks := '{}';
    LOOP
        SELECT organization_id, webhook_id, run_after INTO waiting FROM webhook_deliveries
        WHERE status = 'pending' AND (organization_id, webhook_id) > (tenant, hook)
        ORDER BY organization_id, webhook_id, run_after LIMIT 1;
        steps := steps + 1;
        IF waiting.organization_id IS DISTINCT FROM tenant THEN
            hooks := hooks || of_tenant;
            IF cardinality(hooks) >= most OR steps > most_steps THEN
                ended_at := tenant;
                EXIT;
            END IF;
            IF waiting.organization_id IS NULL OR is_second_round AND waiting.organization_id > after_organization THEN
                EXIT WHEN is_second_round;
                is_second_round := true;
                tenant := nil;
                hook := nil;
                of_tenant := '{}';
                CONTINUE;
            END IF;
            tenant := waiting.organization_id;
            of_tenant := '{}';
            seen := 0;
            IF at_once_of_organization <= (
                SELECT count(*) FROM webhook_delivery_leases AS lease WHERE lease.organization_id = tenant)
            THEN
                hook := last;
                CONTINUE;
            END IF;
        END IF;
        hook := waiting.webhook_id;
        IF waiting.run_after <= moment AND webhook_has_room(hook, at_once, moment) THEN
            of_tenant := of_tenant || hook;
        END IF;
        seen := seen + 1;
        CONTINUE WHEN seen < many;
        -- There may be more than it is the turn of: each look begins somewhere else.
        of_tenant := '{}';
        start := gen_random_uuid();
        FOR half IN 1..2 LOOP
            hook := CASE half WHEN 1 THEN start ELSE nil END;
            FOR n IN 1..2 * many LOOP
                SELECT webhook_id, run_after INTO waiting FROM webhook_deliveries
                WHERE status = 'pending' AND organization_id = tenant AND webhook_id > hook
                ORDER BY webhook_id, run_after LIMIT 1;
                steps := steps + 1;
                hook := waiting.webhook_id;
                EXIT WHEN hook IS NULL OR half = 2 AND hook > start OR cardinality(of_tenant) >= many;
                -- what is only in flight would take the place of others
                IF waiting.run_after <= moment AND webhook_has_room(hook, at_once, moment) AND EXISTS (
                    SELECT FROM webhook_deliveries AS delivery
                    WHERE delivery.status = 'pending' AND delivery.organization_id = tenant AND delivery.webhook_id = hook
                      AND delivery.run_after <= moment
                      AND NOT EXISTS (SELECT FROM webhook_delivery_leases AS lease WHERE lease.delivery_id = delivery.id)
                ) THEN
                    of_tenant := of_tenant || hook;
                END IF;
            END LOOP;
        END LOOP;
        hook := last;
    END LOOP;
END
$$;
COMMENT ON FUNCTION due_webhooks(uuid, integer, integer, integer) IS 'What a claim goes round; a step for each webhook that has anything waiting.';

-- Takes up to `batch` deliveries, each under a new lease token. Of everybody who has something due, each gets an
-- equal share of the batch; what one leaves over, the next claim gives to the others. `at_once` is the limit of attempts in
-- flight of a webhook that sets none, `at_once_of_organization` that of all of an organization's together; two workers that
-- claim at the same moment may exceed the latter, one by itself never does. Where the look has not gone all the way round,
-- the last row is no delivery but says, in organization_id, behind which organization the next look begins.
CREATE FUNCTION claim_deliveries(
    batch integer, lease_seconds double precision, after_organization uuid, at_once integer,
    at_once_of_organization integer DEFAULT 64
) RETURNS TABLE (id uuid, created_at timestamptz, lease_token uuid, organization_id uuid, webhook_id uuid, url text,
        secret text, previous_secret text, payload text, attempt integer, retry_seconds integer[], waited double precision)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET enable_bitmapscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET enable_material = off
AS $$
#variable_conflict use_column
DECLARE
    moment timestamptz;
    due record;
    locked uuid[];
BEGIN
    SELECT * INTO due FROM due_webhooks(after_organization, batch, at_once, at_once_of_organization);
    -- A webhook that somebody else is claiming from, or changing, is left to them. This lock is what makes counting exact.
    SELECT array_agg(hook.id ORDER BY hook.place) INTO locked FROM (
        SELECT webhooks.id, wanted.place FROM unnest(due.hooks) WITH ORDINALITY AS wanted (id, place)
        JOIN webhooks ON webhooks.id = wanted.id AND webhooks.is_active AND webhooks.deleted_at IS NULL
        FOR NO KEY UPDATE OF webhooks SKIP LOCKED
    ) AS hook;
    IF locked IS NOT NULL THEN
        moment := clock_timestamp();
        RETURN QUERY
        WITH room AS MATERIALIZED (
            SELECT hook.id, hook.organization_id, hook.url, hook.secret, hook.is_ordered, hook.rate_limit, wanted.place,
                CASE WHEN hook.previous_secret_expires_at > moment THEN hook.previous_secret END AS previous_secret,
                webhook_room(hook, at_once, moment) AS room
            FROM unnest(locked) WITH ORDINALITY AS wanted (id, place)
            JOIN webhooks AS hook ON hook.id = wanted.id
        ),
        tenant AS MATERIALIZED (
            SELECT everybody.*, webhook_retry_seconds(organizations.settings) AS retry_seconds,
                least(ceil(batch::numeric / count(*) OVER ()), at_once_of_organization - (
                    SELECT count(*) FROM webhook_delivery_leases AS lease WHERE lease.organization_id = everybody.id)) AS share
            FROM (
                SELECT room.organization_id AS id, count(*) AS hooks FROM room WHERE room.room > 0 GROUP BY room.organization_id
            ) AS everybody
            JOIN organizations ON organizations.id = everybody.id
        ),
        chosen AS MATERIALIZED (
            SELECT next.*, room.organization_id, room.id AS webhook_id, room.url, room.secret, room.previous_secret,
                tenant.retry_seconds, room.rate_limit, tenant.share, room.place
            FROM room
            JOIN tenant ON tenant.id = room.organization_id AND tenant.share > 0
            CROSS JOIN LATERAL (
                (SELECT delivery.id, delivery.created_at, delivery.payload, delivery.attempt, delivery.run_after,
                    row_number() OVER () AS turn
                FROM webhook_deliveries AS delivery
                WHERE NOT room.is_ordered AND delivery.organization_id = room.organization_id AND delivery.webhook_id = room.id
                  AND delivery.status = 'pending' AND delivery.run_after <= moment
                  AND NOT EXISTS (SELECT FROM webhook_delivery_leases AS lease WHERE lease.delivery_id = delivery.id)
                ORDER BY delivery.organization_id, delivery.webhook_id, delivery.run_after
                LIMIT least(room.room, ceil(tenant.share / tenant.hooks)::bigint))
                UNION ALL
                SELECT head.*, 1 FROM (
                    SELECT delivery.id, delivery.created_at, delivery.payload, delivery.attempt, delivery.run_after
                    FROM webhook_deliveries AS delivery
                    WHERE room.is_ordered AND delivery.webhook_id = room.id AND delivery.status = 'pending'
                    ORDER BY delivery.event_position NULLS FIRST LIMIT 1
                ) AS head
                WHERE head.run_after <= moment
            ) AS next
            WHERE room.room > 0
        ),
        taken AS MATERIALIZED (
            SELECT ranked.*, gen_random_uuid() AS lease_token FROM (
                SELECT chosen.*, row_number() OVER (PARTITION BY chosen.organization_id ORDER BY chosen.turn, chosen.place) AS rank
                FROM chosen
            ) AS ranked
            WHERE ranked.rank <= ranked.share
            ORDER BY ranked.rank, ranked.place LIMIT batch
        ),
        paced AS (
            INSERT INTO rate_limits AS rate (subject, arrival_at)
            SELECT 'webhook ' || taken.webhook_id, moment + count(*) / taken.rate_limit::double precision * interval '1 s'
            FROM taken WHERE taken.rate_limit IS NOT NULL
            GROUP BY taken.webhook_id, taken.rate_limit
            ON CONFLICT ON CONSTRAINT pk_rate_limits DO UPDATE
                SET arrival_at = greatest(rate.arrival_at, moment) + (EXCLUDED.arrival_at - moment)
        ),
        leased AS (
            INSERT INTO webhook_delivery_leases (delivery_id, organization_id, webhook_id, lease_token, lease_expires_at, attempt)
            SELECT taken.id, taken.organization_id, taken.webhook_id, taken.lease_token, moment + lease_seconds * interval '1 s',
                taken.attempt
            FROM taken
        )
        SELECT taken.id, taken.created_at, taken.lease_token, taken.organization_id, taken.webhook_id, taken.url::text,
            taken.secret, taken.previous_secret, taken.payload::text, taken.attempt, taken.retry_seconds,
            extract(epoch FROM moment - taken.run_after)::double precision
        FROM taken;
    END IF;
    IF due.ended_at IS NOT NULL THEN
        organization_id := due.ended_at;
        RETURN NEXT;
    END IF;
END
$$;

REVOKE ALL ON FUNCTION webhook_room(webhooks, integer, timestamptz) FROM PUBLIC;
REVOKE ALL ON FUNCTION webhook_has_room(uuid, integer, timestamptz) FROM PUBLIC;
REVOKE ALL ON FUNCTION due_webhooks(uuid, integer, integer, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION claim_deliveries(integer, double precision, uuid, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_deliveries(integer, double precision, uuid, integer, integer) TO ccb_worker;
-- last, because only an owner grants
ALTER FUNCTION webhook_room(webhooks, integer, timestamptz) OWNER TO ccb_definer;
ALTER FUNCTION webhook_has_room(uuid, integer, timestamptz) OWNER TO ccb_definer;
ALTER FUNCTION due_webhooks(uuid, integer, integer, integer) OWNER TO ccb_definer;
ALTER FUNCTION claim_deliveries(integer, double precision, uuid, integer, integer) OWNER TO ccb_definer;
