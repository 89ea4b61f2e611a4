-- Delivering: workers claim deliveries in batches under leases, and report what became of them in batches. Whoever
-- claims holds the webhooks' rows meanwhile, so that limits, rates and order hold across all workers.

-- A claim walks from organization to organization and from webhook to webhook along the first of these, whatever waits
-- in between; the second finds what is next of a webhook with ordered delivery.
DROP INDEX idx_webhook_deliveries_pending;
DROP INDEX idx_webhook_deliveries_leased;
CREATE INDEX idx_webhook_deliveries_due ON webhook_deliveries (organization_id, webhook_id, run_after) WHERE status = 'pending';
CREATE INDEX idx_webhook_deliveries_next ON webhook_deliveries (webhook_id, event_position NULLS FIRST) WHERE status = 'pending';

-- Leases are rows of their own: a delivery is wide and has ten indexes, so that to write a lease into it cost as much as
-- the report of the attempt. A delivery is pending until its outcome is known; there is a lease while somebody is at it.
CREATE TABLE webhook_delivery_leases (
    delivery_id UUID NOT NULL,
    webhook_id UUID NOT NULL,
    lease_token UUID NOT NULL DEFAULT gen_random_uuid(),
    lease_expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    attempt INTEGER NOT NULL,
    CONSTRAINT pk_webhook_delivery_leases PRIMARY KEY (delivery_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
COMMENT ON COLUMN webhook_delivery_leases.attempt IS 'The delivery''s at the claim: where it differs in the end, somebody asked for redelivery meanwhile.';
CREATE INDEX idx_webhook_delivery_leases_webhook ON webhook_delivery_leases (webhook_id);
ALTER TABLE webhook_delivery_leases ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_delivery_leases FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_delivery_leases TO ccb_definer;
CREATE POLICY webhook_delivery_leases_definer ON webhook_delivery_leases FOR ALL TO ccb_definer USING (true) WITH CHECK (true);
CREATE POLICY webhook_delivery_leases_select ON webhook_delivery_leases FOR SELECT TO authenticated_users USING (false);
CREATE POLICY webhook_delivery_leases_insert ON webhook_delivery_leases FOR INSERT TO authenticated_users WITH CHECK (false);
CREATE POLICY webhook_delivery_leases_update ON webhook_delivery_leases FOR UPDATE TO authenticated_users
    USING (false) WITH CHECK (false);
CREATE POLICY webhook_delivery_leases_delete ON webhook_delivery_leases FOR DELETE TO authenticated_users USING (false);

-- Reports raise the version by themselves: what the trigger spends on comparing rows would be half of a report.
DROP TRIGGER trigger_webhook_deliveries_updated_at ON webhook_deliveries;
CREATE TRIGGER trigger_webhook_deliveries_updated_at BEFORE UPDATE ON webhook_deliveries
    FOR EACH ROW WHEN (NEW.version = OLD.version) EXECUTE FUNCTION update_timestamp('created_at');
ALTER TABLE webhook_deliveries
    DROP COLUMN lease_token,
    DROP COLUMN lease_expires_at,
    DROP CONSTRAINT ck_webhook_deliveries_status,
    ADD CONSTRAINT ck_webhook_deliveries_status CHECK (status IN ('pending', 'held', 'delivered', 'exhausted', 'cancelled'));
SET LOCAL ROLE ccb_definer;
CREATE OR REPLACE FUNCTION settle_webhook_deliveries() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF NEW.deleted_at IS NOT NULL THEN
        UPDATE webhook_deliveries SET status = 'cancelled' WHERE webhook_id = NEW.id AND status IN ('pending', 'held');
    ELSIF NOT NEW.is_active THEN
        UPDATE webhook_deliveries SET status = 'held' WHERE webhook_id = NEW.id AND status = 'pending';
    END IF;
    RETURN NULL;
END
$$;
SET LOCAL ROLE ccb_owner;

-- Up to `most` webhooks with something due, going round the organizations from the one behind `after_organization`, and
-- round the webhooks of each from a place that chance decides. Each step is one look into the index.
CREATE FUNCTION due_webhooks(after_organization uuid, most integer) RETURNS uuid[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET enable_bitmapscan = off
    SET enable_sort = off
AS $$
DECLARE
    nil CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    tenant uuid := coalesce(after_organization, nil);
    tenants integer := 0;
    is_second_round boolean := false;
    hook uuid;
    first_hook uuid;
    hooks integer;
    due_at timestamptz;
    found uuid[] := '{}';
BEGIN
    WHILE cardinality(found) < most AND tenants < 4 * most LOOP
        SELECT organization_id INTO tenant FROM webhook_deliveries
        WHERE status = 'pending' AND organization_id > tenant ORDER BY organization_id LIMIT 1;
        IF tenant IS NULL OR is_second_round AND tenant > after_organization THEN
            EXIT WHEN is_second_round OR after_organization IS NULL;
            is_second_round := true;
            tenant := nil;
            CONTINUE;
        END IF;
        tenants := tenants + 1;
        first_hook := gen_random_uuid();
        FOR half IN 1..2 LOOP
            hook := CASE half WHEN 1 THEN first_hook ELSE nil END;
            hooks := 0;
            WHILE hooks < 64 LOOP
                SELECT webhook_id, run_after INTO hook, due_at FROM webhook_deliveries
                WHERE status = 'pending' AND organization_id = tenant AND webhook_id > hook
                ORDER BY webhook_id, run_after LIMIT 1;
                EXIT WHEN hook IS NULL OR half = 2 AND hook > first_hook;
                hooks := hooks + 1;
                IF due_at <= clock_timestamp() THEN
                    found := found || hook;
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
    RETURN found;
END
$$;
COMMENT ON FUNCTION due_webhooks(uuid, integer) IS 'Webhooks with something due, round robin; a step for each webhook that has anything waiting.';

-- Takes up to `batch` deliveries, each under a new lease token. Of everybody who has something due, each gets an
-- equal share of the batch; what one leaves over, the next claim gives to the others.
CREATE FUNCTION claim_deliveries(batch integer, lease_seconds double precision, after_organization uuid, at_once integer)
    RETURNS TABLE (id uuid, created_at timestamptz, lease_token uuid, organization_id uuid, webhook_id uuid, url text,
        secret text, previous_secret text, payload text, attempt integer, retry_seconds integer[], waited double precision)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET enable_bitmapscan = off
    SET enable_sort = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET enable_material = off
AS $$
#variable_conflict use_column
DECLARE
    moment timestamptz;
    hooks uuid[];
BEGIN
    -- A webhook that somebody else is claiming from, or changing, is left to them. This lock is what makes counting exact.
    SELECT array_agg(locked.id) INTO hooks FROM (
        SELECT webhooks.id FROM unnest(due_webhooks(after_organization, batch)) AS due (id)
        JOIN webhooks ON webhooks.id = due.id AND webhooks.is_active AND webhooks.deleted_at IS NULL
        FOR NO KEY UPDATE OF webhooks SKIP LOCKED
    ) AS locked;
    IF hooks IS NULL THEN
        RETURN;
    END IF;
    moment := clock_timestamp();
    RETURN QUERY
    WITH room AS MATERIALIZED (
        SELECT hook.id, hook.organization_id, hook.url, hook.secret, hook.is_ordered, hook.rate_limit,
            CASE WHEN hook.previous_secret_expires_at > moment THEN hook.previous_secret END AS previous_secret,
            webhook_retry_seconds(organizations.settings) AS retry_seconds,
            least(
                CASE WHEN hook.is_ordered THEN 1 ELSE coalesce(hook.max_concurrency, at_once) END - flying.number,
                -- a tenth of a second's worth at once, and one at least
                floor(hook.rate_limit * extract(epoch FROM moment + interval '0.1 s' - greatest(rate.arrival_at, moment)))
                    + CASE WHEN rate.arrival_at > moment THEN 0 ELSE 1 END
            ) AS room
        FROM unnest(hooks) AS wanted (id)
        JOIN webhooks AS hook ON hook.id = wanted.id
        JOIN organizations ON organizations.id = hook.organization_id
        CROSS JOIN LATERAL (
            SELECT count(*) AS number FROM webhook_delivery_leases AS lease WHERE lease.webhook_id = hook.id
        ) AS flying
        LEFT JOIN rate_limits AS rate ON hook.rate_limit IS NOT NULL AND rate.subject = 'webhook ' || hook.id
    ),
    share AS MATERIALIZED (
        SELECT room.*, least(room.room, ceil(
            ceil(batch::numeric / (SELECT count(DISTINCT everybody.organization_id) FROM room AS everybody WHERE everybody.room > 0))
            / count(*) OVER (PARTITION BY room.organization_id))::bigint)::bigint AS most
        FROM room WHERE room.room > 0
    ),
    chosen AS MATERIALIZED (
        SELECT next.*, gen_random_uuid() AS lease_token, share.organization_id, share.id AS webhook_id, share.url,
            share.secret, share.previous_secret, share.retry_seconds, share.rate_limit
        FROM share
        CROSS JOIN LATERAL (
            (SELECT delivery.id, delivery.created_at, delivery.payload, delivery.attempt, delivery.run_after
            FROM webhook_deliveries AS delivery
            WHERE NOT share.is_ordered AND delivery.organization_id = share.organization_id AND delivery.webhook_id = share.id
              AND delivery.status = 'pending' AND delivery.run_after <= moment
              AND NOT EXISTS (SELECT FROM webhook_delivery_leases AS lease WHERE lease.delivery_id = delivery.id)
            ORDER BY delivery.organization_id, delivery.webhook_id, delivery.run_after LIMIT share.most)
            UNION ALL
            SELECT * FROM (
                SELECT delivery.id, delivery.created_at, delivery.payload, delivery.attempt, delivery.run_after
                FROM webhook_deliveries AS delivery
                WHERE share.is_ordered AND delivery.webhook_id = share.id AND delivery.status = 'pending'
                ORDER BY delivery.event_position NULLS FIRST LIMIT 1
            ) AS head
            WHERE head.run_after <= moment
        ) AS next
        LIMIT batch
    ),
    paced AS (
        INSERT INTO rate_limits AS rate (subject, arrival_at)
        SELECT 'webhook ' || chosen.webhook_id, moment + count(*) / chosen.rate_limit::double precision * interval '1 s'
        FROM chosen WHERE chosen.rate_limit IS NOT NULL
        GROUP BY chosen.webhook_id, chosen.rate_limit
        ON CONFLICT ON CONSTRAINT pk_rate_limits DO UPDATE
            SET arrival_at = greatest(rate.arrival_at, moment) + (EXCLUDED.arrival_at - moment)
    ),
    leased AS (
        INSERT INTO webhook_delivery_leases (delivery_id, webhook_id, lease_token, lease_expires_at, attempt)
        SELECT chosen.id, chosen.webhook_id, chosen.lease_token, moment + lease_seconds * interval '1 s', chosen.attempt
        FROM chosen
    )
    SELECT chosen.id, chosen.created_at, chosen.lease_token, chosen.organization_id, chosen.webhook_id, chosen.url::text,
        chosen.secret, chosen.previous_secret, chosen.payload::text, chosen.attempt, chosen.retry_seconds,
        extract(epoch FROM moment - chosen.run_after)::double precision
    FROM chosen;
END
$$;

-- Reports what became of attempts, all in one statement. `outcomes` are the statuses to take: delivered, exhausted, or
-- pending, to be tried again after `delays` seconds. Gives those that were taken in: a lease that was lost meanwhile
-- is somebody else's, and what its former holder reports is not.
CREATE FUNCTION complete_deliveries(
    ids uuid[], created_ats timestamptz[], webhook_ids uuid[], lease_tokens uuid[], outcomes text[],
    delays double precision[], reports jsonb[], disable_after interval DEFAULT '5 days'
) RETURNS SETOF uuid
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
    moment timestamptz := clock_timestamp();
BEGIN
    -- where something other than the time of the last success changes, nobody switches the webhook off or on meanwhile
    PERFORM FROM webhooks
    WHERE webhooks.id = ANY (webhook_ids) AND (
        webhooks.failing_since IS NOT NULL
        OR webhooks.id IN (SELECT failed.id FROM unnest(webhook_ids, outcomes) AS failed (id, outcome) WHERE failed.outcome <> 'delivered'))
    ORDER BY webhooks.id FOR NO KEY UPDATE;
    RETURN QUERY
    WITH given AS MATERIALIZED (
        SELECT given.*, webhooks.is_active
        FROM unnest(ids, created_ats, webhook_ids, lease_tokens, outcomes, delays, reports)
            AS given (id, created_at, webhook_id, lease_token, outcome, delay, report)
        JOIN webhooks ON webhooks.id = given.webhook_id
    ),
    held AS (
        DELETE FROM webhook_delivery_leases AS lease USING given
        WHERE lease.delivery_id = given.id AND lease.lease_token = given.lease_token
        RETURNING given.*, lease.attempt AS attempt_before
    ),
    taken AS (
        UPDATE webhook_deliveries AS delivery SET
            status = CASE
                WHEN delivery.status NOT IN ('pending', 'held') THEN delivery.status
                WHEN held.outcome = 'delivered' THEN 'delivered'
                WHEN NOT held.is_active THEN 'held'
                WHEN delivery.attempt <> held.attempt_before THEN delivery.status
                ELSE held.outcome END,
            run_after = CASE WHEN held.outcome = 'pending' AND delivery.attempt = held.attempt_before
                THEN moment + held.delay * interval '1 s' ELSE delivery.run_after END,
            delivered_at = CASE held.outcome WHEN 'delivered' THEN moment ELSE delivery.delivered_at END,
            attempt = delivery.attempt + CASE WHEN delivery.attempt = held.attempt_before THEN 1 ELSE 0 END,
            delivery_attempts = delivery.delivery_attempts + 1,
            attempts = delivery.attempts || (jsonb_build_object('number', delivery.delivery_attempts + 1) || held.report),
            response_status = (held.report ->> 'response_status')::integer,
            response_headers = nullif(held.report -> 'response_headers', 'null'),
            response_body = held.report ->> 'response_body',
            version = delivery.version + 1,
            updated_at = greatest(moment, delivery.updated_at + interval '1 microsecond')
        FROM held
        WHERE delivery.id = held.id AND delivery.created_at = held.created_at
        RETURNING delivery.id, delivery.webhook_id, delivery.response_status, held.outcome = 'delivered' AS succeeded
    ),
    news AS MATERIALIZED (
        SELECT taken.webhook_id, bool_or(taken.succeeded) AS succeeded, count(*) FILTER (WHERE NOT taken.succeeded) AS failures,
            coalesce(bool_or(taken.response_status = 410), false) AS gone
        FROM taken GROUP BY taken.webhook_id
    ),
    noted AS MATERIALIZED (
        SELECT news.* FROM webhooks AS hook JOIN news ON news.webhook_id = hook.id
        WHERE news.failures > 0 OR hook.failing_since IS NOT NULL OR hook.last_success_at IS NULL
            OR hook.last_success_at < moment - interval '1 s'
        FOR NO KEY UPDATE OF hook SKIP LOCKED
    ),
    told AS (
        UPDATE webhooks AS hook SET
            last_success_at = CASE WHEN noted.succeeded THEN moment ELSE hook.last_success_at END,
            last_failure_at = CASE WHEN noted.failures > 0 THEN moment ELSE hook.last_failure_at END,
            failing_since = CASE WHEN NOT noted.succeeded THEN coalesce(hook.failing_since, moment) END,
            failure_count = CASE WHEN noted.succeeded THEN 0 ELSE hook.failure_count + noted.failures END,
            is_active = hook.is_active AND NOT noted.gone
                AND (noted.succeeded OR hook.failing_since IS NULL OR hook.failing_since > moment - disable_after),
            disabled_reason = CASE
                WHEN NOT hook.is_active THEN hook.disabled_reason
                WHEN noted.gone THEN 'gone'
                WHEN NOT noted.succeeded AND hook.failing_since <= moment - disable_after THEN 'failing' END
        FROM noted
        WHERE hook.id = noted.webhook_id
    )
    SELECT taken.id FROM taken;
END
$$;

-- For attempts that take long: the leases that are still held last again. Gives those.
CREATE FUNCTION extend_delivery_leases(ids uuid[], lease_tokens uuid[], lease_seconds double precision) RETURNS SETOF uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN QUERY
    UPDATE webhook_delivery_leases AS lease SET lease_expires_at = clock_timestamp() + lease_seconds * interval '1 s'
    FROM unnest(ids, lease_tokens) AS held (id, lease_token)
    WHERE lease.delivery_id = held.id AND lease.lease_token = held.lease_token
    RETURNING lease.delivery_id;
END
$$;

-- A worker that stops gives back what it will not attempt any more.
CREATE FUNCTION release_deliveries(ids uuid[], lease_tokens uuid[]) RETURNS SETOF uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN QUERY
    DELETE FROM webhook_delivery_leases AS lease USING unnest(ids, lease_tokens) AS held (id, lease_token)
    WHERE lease.delivery_id = held.id AND lease.lease_token = held.lease_token
    RETURNING lease.delivery_id;
END
$$;

-- Leases that ran out: whoever held them is gone, and the attempt is anybody's again.
CREATE FUNCTION recover_deliveries() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    recovered integer;
BEGIN
    DELETE FROM webhook_delivery_leases WHERE delivery_id IN (
        SELECT delivery_id FROM webhook_delivery_leases WHERE lease_expires_at < clock_timestamp() FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS recovered = ROW_COUNT;
    RETURN recovered;
END
$$;

-- What the worker's metrics tell: how many are due, up to a million, and how long the oldest of them has been, in seconds.
CREATE FUNCTION delivery_queue() RETURNS TABLE (due bigint, oldest double precision)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
    SET enable_seqscan = off
    SET enable_bitmapscan = off
AS $$
BEGIN
    RETURN QUERY
    SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(waiting.run_after)), 0)::double precision FROM (
        SELECT run_after FROM webhook_deliveries WHERE status = 'pending' AND run_after <= clock_timestamp() LIMIT 1000000
    ) AS waiting;
END
$$;

-- A webhook that is switched off says so by a type of its own, with the reason: its owner is to hear of it. The functions
-- and the view are taken as they are, and extended.
SET LOCAL ROLE ccb_definer;
DO $$
DECLARE
    definition text := pg_get_functiondef('record_event'::regproc);
    place CONSTANT text := 'ELSIF before ->> ''password_hash'' IS DISTINCT FROM';
BEGIN
    ASSERT position(place IN definition) > 0;
    EXECUTE replace(definition, place, $branch$ELSIF aggregate = 'webhook' AND old_values ? 'is_active' THEN
            verb := CASE WHEN (after ->> 'is_active')::boolean THEN 'enabled' ELSE 'disabled' END;
            event_data := event_data || jsonb_build_object('reason', after ->> 'disabled_reason');
        $branch$ || place);
END
$$;
SET LOCAL ROLE ccb_owner;
DO $$
BEGIN
    EXECUTE format($view$CREATE OR REPLACE VIEW event_types WITH (security_invoker = true) AS
        WITH known AS (%s)
        SELECT name, aggregate_type, verb, is_status, columns FROM known
        UNION ALL
        SELECT 'webhook.' || switched.verb, aggregate_type, switched.verb, false, columns
        FROM known CROSS JOIN (VALUES ('enabled'), ('disabled')) AS switched (verb)
        WHERE known.name = 'webhook.updated'$view$, rtrim(pg_get_viewdef('event_types'::regclass), ';'));
END
$$;

REVOKE ALL ON FUNCTION due_webhooks(uuid, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION claim_deliveries(integer, double precision, uuid, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION complete_deliveries(uuid[], timestamptz[], uuid[], uuid[], text[], double precision[], jsonb[], interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION extend_delivery_leases(uuid[], uuid[], double precision) FROM PUBLIC;
REVOKE ALL ON FUNCTION release_deliveries(uuid[], uuid[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION recover_deliveries() FROM PUBLIC;
REVOKE ALL ON FUNCTION delivery_queue() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_deliveries(integer, double precision, uuid, integer) TO ccb_worker;
GRANT EXECUTE ON FUNCTION complete_deliveries(uuid[], timestamptz[], uuid[], uuid[], text[], double precision[], jsonb[], interval) TO ccb_worker;
GRANT EXECUTE ON FUNCTION extend_delivery_leases(uuid[], uuid[], double precision) TO ccb_worker;
GRANT EXECUTE ON FUNCTION release_deliveries(uuid[], uuid[]) TO ccb_worker;
GRANT EXECUTE ON FUNCTION recover_deliveries() TO ccb_worker;
GRANT EXECUTE ON FUNCTION delivery_queue() TO ccb_worker;
-- last, because only an owner grants
ALTER FUNCTION due_webhooks(uuid, integer) OWNER TO ccb_definer;
ALTER FUNCTION claim_deliveries(integer, double precision, uuid, integer) OWNER TO ccb_definer;
ALTER FUNCTION complete_deliveries(uuid[], timestamptz[], uuid[], uuid[], text[], double precision[], jsonb[], interval) OWNER TO ccb_definer;
ALTER FUNCTION extend_delivery_leases(uuid[], uuid[], double precision) OWNER TO ccb_definer;
ALTER FUNCTION release_deliveries(uuid[], uuid[]) OWNER TO ccb_definer;
ALTER FUNCTION recover_deliveries() OWNER TO ccb_definer;
ALTER FUNCTION delivery_queue() OWNER TO ccb_definer;
