-- What one organization can make large stays bounded for everybody: payloads, and the attempts that a delivery remembers.
-- And secrets can be encrypted anew.

SET LOCAL ROLE ccb_definer;
DO $$
DECLARE
    queue text := pg_get_functiondef('queue_webhook_deliveries'::regproc);
    body CONSTANT text := 'VALUES (NEW.organization_id, hook.id, NEW.event_type, body,';
BEGIN
    ASSERT position(body IN queue) > 0;
    -- workers hold hundreds of payloads at the same time; the filter has seen all of it
    EXECUTE replace(queue, body, 'VALUES (NEW.organization_id, hook.id, NEW.event_type,
            CASE WHEN pg_column_size(body) <= 262144 THEN body
                ELSE jsonb_set(body #- ''{data,old}'' #- ''{data,new}'', ''{data,is_abridged}'', ''true'') END,');
END
$$;
-- a worker of the version before reports again when it has started anew
-- squawk-ignore ban-drop-function
DROP FUNCTION complete_deliveries(uuid[], timestamptz[], uuid[], uuid[], text[], double precision[], jsonb[], interval);
SET LOCAL ROLE ccb_owner;

-- Reports what became of attempts, all in one statement. `outcomes` are the statuses to take: delivered, exhausted, or
-- pending, to be tried again after `delays` seconds. Gives those that were taken in: a lease that was lost meanwhile
-- is somebody else's, and what its former holder reports is not. Reports of webhooks that somebody is changing are not taken
-- now but given back with false: waiting for one would hold up all the others.
CREATE FUNCTION complete_deliveries(
    ids uuid[], created_ats timestamptz[], webhook_ids uuid[], lease_tokens uuid[], outcomes text[],
    delays double precision[], reports jsonb[], disable_after interval DEFAULT '5 days'
) RETURNS TABLE (id uuid, is_taken boolean)
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
    wanted uuid[];
    locked uuid[] := '{}';
    deferred uuid[];
    lock_timeout_before CONSTANT text := current_setting('lock_timeout');
BEGIN
    -- where something other than the time of the last success changes, nobody switches the webhook off or on meanwhile
    wanted := ARRAY(
        SELECT webhooks.id FROM webhooks
        WHERE webhooks.id = ANY (webhook_ids) AND (
            webhooks.failing_since IS NOT NULL OR webhooks.id IN (
                SELECT failed.id FROM unnest(webhook_ids, outcomes) AS failed (id, outcome) WHERE failed.outcome <> 'delivered')));
    IF wanted <> '{}' THEN
        BEGIN
            -- a claim is over in a moment; a user's transaction may take long
            PERFORM set_config('lock_timeout', '50ms', true);
            locked := ARRAY(SELECT webhooks.id FROM webhooks WHERE webhooks.id = ANY (wanted) ORDER BY webhooks.id FOR NO KEY UPDATE);
            PERFORM set_config('lock_timeout', lock_timeout_before, true);
        EXCEPTION WHEN lock_not_available THEN
            locked := ARRAY(SELECT webhooks.id FROM webhooks WHERE webhooks.id = ANY (wanted) FOR NO KEY UPDATE SKIP LOCKED);
        END;
    END IF;
    deferred := ARRAY(SELECT unnest(wanted) EXCEPT SELECT unnest(locked));
    RETURN QUERY
    WITH given AS MATERIALIZED (
        SELECT given.*, webhooks.is_active
        FROM unnest(ids, created_ats, webhook_ids, lease_tokens, outcomes, delays, reports)
            AS given (id, created_at, webhook_id, lease_token, outcome, delay, report)
        JOIN webhooks ON webhooks.id = given.webhook_id
        WHERE given.webhook_id <> ALL (deferred)
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
            -- a delivery can be sent again any number of times, and each report writes them all
            attempts = CASE WHEN jsonb_array_length(delivery.attempts) < 100 THEN delivery.attempts ELSE delivery.attempts - 0 END || (jsonb_build_object('number', delivery.delivery_attempts + 1) || held.report),
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
    SELECT taken.id, true FROM taken
    UNION ALL
    SELECT given.id, false FROM unnest(ids, webhook_ids) AS given (id, webhook_id) WHERE given.webhook_id = ANY (deferred);
END
$$;
COMMENT ON COLUMN webhook_deliveries.attempts IS
    'One object for each of the last hundred attempts: number, started_at, duration_ms, response_status, response_headers, response_body, error. The columns of these names are the last attempt''s.';

CREATE FUNCTION encrypted_webhook_secrets(after uuid) RETURNS TABLE (id uuid, secret text, previous_secret text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT hook.id, hook.secret, hook.previous_secret FROM webhooks AS hook
    WHERE hook.id > after AND (hook.secret IS NOT NULL OR hook.previous_secret IS NOT NULL)
    ORDER BY hook.id LIMIT 1000;
END
$$;
COMMENT ON FUNCTION encrypted_webhook_secrets(uuid) IS 'A thousand webhooks'' secrets, for whoever encrypts them anew.';

CREATE FUNCTION keep_webhook_secrets(webhook_id uuid, was text, previous_was text, secret text, previous_secret text)
    RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    UPDATE webhooks AS hook SET secret = $4, previous_secret = $5
    WHERE hook.id = $1 AND hook.secret IS NOT DISTINCT FROM $2 AND hook.previous_secret IS NOT DISTINCT FROM $3;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION keep_webhook_secrets(uuid, text, text, text, text) IS
    'The same secrets under another key; false where they were rotated meanwhile.';
REVOKE ALL ON FUNCTION complete_deliveries(uuid[], timestamptz[], uuid[], uuid[], text[], double precision[], jsonb[], interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION complete_deliveries(uuid[], timestamptz[], uuid[], uuid[], text[], double precision[], jsonb[], interval) TO ccb_worker;
REVOKE ALL ON FUNCTION encrypted_webhook_secrets(uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION keep_webhook_secrets(uuid, text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION encrypted_webhook_secrets(uuid) TO ccb_owner;
GRANT EXECUTE ON FUNCTION keep_webhook_secrets(uuid, text, text, text, text) TO ccb_owner;
ALTER FUNCTION complete_deliveries(uuid[], timestamptz[], uuid[], uuid[], text[], double precision[], jsonb[], interval) OWNER TO ccb_definer;
ALTER FUNCTION encrypted_webhook_secrets(uuid) OWNER TO ccb_definer;
ALTER FUNCTION keep_webhook_secrets(uuid, text, text, text, text) OWNER TO ccb_definer;
SET LOCAL ROLE ccb_definer;
GRANT EXECUTE ON FUNCTION encrypted_webhook_secrets(uuid), keep_webhook_secrets(uuid, text, text, text, text) TO ccb_owner;
SET LOCAL ROLE ccb_owner;
