-- What two transactions decide at the same moment: the limit of an organization's attempts, whichever workers claim; and what
-- becomes of a delivery that is queued, sent again or reported while its webhook is switched off, on, or deleted.

-- What waits for a webhook that is off is kept, or cancelled with a deleted one. What somebody is just reporting is left to them.
CREATE FUNCTION settle_deliveries(hook webhooks) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF hook.deleted_at IS NOT NULL THEN
        UPDATE webhook_deliveries AS delivery SET status = 'cancelled'
        FROM (
            SELECT id, created_at FROM webhook_deliveries
            WHERE organization_id = hook.organization_id AND webhook_id = hook.id AND status = 'held'
            FOR NO KEY UPDATE SKIP LOCKED
        ) AS held
        WHERE delivery.id = held.id AND delivery.created_at = held.created_at;
    END IF;
    UPDATE webhook_deliveries AS delivery SET status = CASE WHEN hook.deleted_at IS NULL THEN 'held' ELSE 'cancelled' END
    FROM (
        SELECT id, created_at FROM webhook_deliveries
        WHERE organization_id = hook.organization_id AND webhook_id = hook.id AND status = 'pending'
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS waiting
    WHERE delivery.id = waiting.id AND delivery.created_at = waiting.created_at;
END
$$;

SET LOCAL ROLE ccb_definer;

CREATE OR REPLACE FUNCTION settle_webhook_deliveries() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM settle_deliveries(NEW);
    RETURN NULL;
END
$$;

-- Of one that is off or deleted, whatever waits is for a claim to settle: it was queued while that was being decided, or
-- somebody held its row.
CREATE OR REPLACE FUNCTION webhook_has_room(webhook_id uuid, at_once integer, moment timestamptz) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN coalesce((
        SELECT NOT webhooks.is_active OR webhooks.deleted_at IS NOT NULL OR webhook_room(webhooks, at_once, moment) > 0
        FROM webhooks WHERE webhooks.id = $1), false);
END
$$;

CREATE OR REPLACE FUNCTION claim_deliveries(
    batch integer, lease_seconds double precision, after_organization uuid, at_once integer,
    at_once_of_organization integer DEFAULT 64
) RETURNS TABLE (
    id uuid, created_at timestamptz, lease_token uuid, organization_id uuid, webhook_id uuid, url text, secret text,
    previous_secret text, payload text, attempt integer, retry_seconds integer[], waited double precision
)
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
    tenants uuid[];
    locked uuid[];
    strays uuid[];
BEGIN
    -- no more than PostgreSQL has room for locks of, whatever the batch
    SELECT * INTO due FROM due_webhooks(after_organization, least(batch, 256), at_once, at_once_of_organization);
    -- An organization that somebody else is claiming from is left to them, as is a webhook that they are claiming from, or
    -- changing. These locks, taken before anything is counted, are what makes counting exact.
    tenants := ARRAY(
        SELECT tenant.id FROM (
            SELECT DISTINCT webhooks.organization_id AS id FROM webhooks WHERE webhooks.id = ANY (due.hooks)
        ) AS tenant
        WHERE pg_try_advisory_xact_lock(hashtextextended('webhook deliveries of ' || tenant.id, 0)));
    SELECT array_agg(hook.id ORDER BY hook.place) FILTER (WHERE hook.is_on), array_agg(hook.id) FILTER (WHERE NOT hook.is_on)
    INTO locked, strays FROM (
        SELECT webhooks.id, wanted.place, webhooks.is_active AND webhooks.deleted_at IS NULL AS is_on
        FROM unnest(due.hooks) WITH ORDINALITY AS wanted (id, place)
        JOIN webhooks ON webhooks.id = wanted.id AND webhooks.organization_id = ANY (tenants)
        FOR NO KEY UPDATE OF webhooks SKIP LOCKED
    ) AS hook;
    IF strays IS NOT NULL THEN
        PERFORM settle_deliveries(webhooks) FROM webhooks WHERE webhooks.id = ANY (strays);
    END IF;
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

-- An event that is written while a webhook is switched on is either there to be found held by whoever switches it on, who waits
-- for it, or sent. Advisory locks, since those who come later do not overtake the one who waits; and for an organization
-- one, since a change can be heard by any number of webhooks that are off. Changes of webhooks themselves take none: whoever
-- makes them may switch others on next, and two who did both would wait for each other.
DO $$
DECLARE
    queue text := pg_get_functiondef('queue_webhook_deliveries'::regproc);
    insertion CONSTANT text := 'INSERT INTO webhook_deliveries';
    complete text := pg_get_functiondef('complete_deliveries'::regproc);
    cancelled CONSTANT text := $branch$WHEN delivery.status NOT IN ('pending', 'held') THEN delivery.status
                $branch$;
    arrived CONSTANT text := $branch$WHEN held.outcome = 'delivered' THEN 'delivered'
                $branch$;
BEGIN
    ASSERT position(insertion IN queue) > 0;
    EXECUTE replace(queue, insertion, $branch$IF NOT hook.is_active AND NEW.aggregate_type <> 'webhook' THEN
            IF pg_try_advisory_xact_lock_shared(hashtextextended('webhooks switched on of ' || NEW.organization_id, 0)) THEN
                hook.is_active := (SELECT webhooks.is_active FROM webhooks WHERE webhooks.id = hook.id);
            ELSE
                hook.is_active := true; -- if it was not this one, a claim settles it
            END IF;
        END IF;
        $branch$ || insertion);
    ASSERT position(cancelled || arrived IN complete) > 0;
    EXECUTE replace(complete, cancelled || arrived, arrived || cancelled);
END
$$;
SET LOCAL ROLE ccb_owner;

DO $$
DECLARE
    change text := pg_get_functiondef('webhook_change'::regproc);
    enabling CONSTANT text := 'IF NEW.is_active AND NOT OLD.is_active THEN';
BEGIN
    ASSERT position(enabling IN change) > 0;
    EXECUTE replace(change, enabling, enabling || $branch$
        PERFORM pg_advisory_xact_lock(hashtextextended('webhooks switched on of ' || NEW.organization_id, 0));$branch$);
END
$$;

REVOKE ALL ON FUNCTION settle_deliveries(webhooks) FROM PUBLIC;
-- last, because only an owner grants
ALTER FUNCTION settle_deliveries(webhooks) OWNER TO ccb_definer;
