-- What one organization can make large stays bounded for everybody: payloads, and the attempts that a delivery remembers.
-- And secrets can be encrypted anew.

DO $$
DECLARE
    queue text := pg_get_functiondef('queue_webhook_deliveries'::regproc);
    complete text := pg_get_functiondef('complete_deliveries'::regproc);
    body CONSTANT text := 'VALUES (NEW.organization_id, hook.id, NEW.event_type, body,';
    attempts CONSTANT text := 'attempts = delivery.attempts ||';
BEGIN
    ASSERT position(body IN queue) > 0 AND position(attempts IN complete) > 0;
    SET LOCAL ROLE ccb_definer;
    -- workers hold hundreds of payloads at the same time; the filter has seen all of it
    EXECUTE replace(queue, body, 'VALUES (NEW.organization_id, hook.id, NEW.event_type,
            CASE WHEN pg_column_size(body) <= 262144 THEN body
                ELSE jsonb_set(body #- ''{data,old}'' #- ''{data,new}'', ''{data,is_abridged}'', ''true'') END,');
    -- a delivery can be sent again any number of times, and each report writes them all
    EXECUTE replace(complete, attempts, 'attempts = CASE WHEN jsonb_array_length(delivery.attempts) < 100
                THEN delivery.attempts ELSE delivery.attempts - 0 END ||');
    SET LOCAL ROLE ccb_owner;
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
REVOKE ALL ON FUNCTION encrypted_webhook_secrets(uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION keep_webhook_secrets(uuid, text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION encrypted_webhook_secrets(uuid) TO ccb_owner;
GRANT EXECUTE ON FUNCTION keep_webhook_secrets(uuid, text, text, text, text) TO ccb_owner;
ALTER FUNCTION encrypted_webhook_secrets(uuid) OWNER TO ccb_definer;
ALTER FUNCTION keep_webhook_secrets(uuid, text, text, text, text) OWNER TO ccb_definer;
SET LOCAL ROLE ccb_definer;
GRANT EXECUTE ON FUNCTION encrypted_webhook_secrets(uuid), keep_webhook_secrets(uuid, text, text, text, text) TO ccb_owner;
SET LOCAL ROLE ccb_owner;
