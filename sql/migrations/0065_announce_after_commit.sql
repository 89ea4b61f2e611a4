-- NOTIFY holds a lock of the whole server from the end of its transaction until that is on disk, so that of all who write
-- one commits at a time. A session that says so sends its notifications in a transaction of their own behind the commit,
-- which writes nothing and has no disk to wait for. All others, psql among them, send them as ever.

CREATE FUNCTION announce(channel text, payload text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
DECLARE
    kept text := current_setting('app.announcements', true);
BEGIN
    IF kept LIKE E'\n%' AND length(kept) < 8000 THEN -- beyond, to lengthen it again and again would cost more
        PERFORM set_config('app.announcements', kept || channel || E'\t' || payload || E'\n', false);
    ELSE
        PERFORM pg_notify(channel, payload);
    END IF;
END
$$;
COMMENT ON FUNCTION announce(text, text) IS
    'NOTIFY, at the commit or, where app.announcements begins with a line break, by send_announcements() behind it.';

CREATE FUNCTION send_announcements() RETURNS void
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
DECLARE
    kept text := current_setting('app.announcements', true);
BEGIN
    IF length(kept) > 1 THEN
        PERFORM set_config('app.announcements', E'\n', false);
        PERFORM pg_notify(split_part(line, E'\t', 1), split_part(line, E'\t', 2))
        FROM unnest(string_to_array(btrim(kept, E'\n'), E'\n')) AS line;
    END IF;
END
$$;
COMMENT ON FUNCTION send_announcements() IS 'Sends what committed transactions of this session have announced.';

CREATE OR REPLACE FUNCTION notify_event() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
DECLARE
    state jsonb := to_jsonb(coalesce(NEW, OLD));
BEGIN
    PERFORM announce(
        'table_changes',
        json_build_object(
            'table', regexp_replace(TG_TABLE_NAME, '_(y[0-9]{4}m[0-9]{2}|past|future)$', ''),
            'action', TG_OP,
            'id', state ->> 'id',
            'organization', coalesce(state ->> 'organization_id', CASE TG_TABLE_NAME WHEN 'organizations' THEN state ->> 'id' END)
        )::text
    );
    RETURN coalesce(NEW, OLD);
END
$$;

SET LOCAL ROLE ccb_definer;
CREATE OR REPLACE FUNCTION tell_of_ended_session() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM record_audit('session.ended', 'session', NEW.id::text,
        (SELECT id FROM organizations WHERE personal_user_id = NEW.user_id), '{"outcome": "allowed"}');
    PERFORM announce('table_changes', json_build_object(
        'table', TG_TABLE_NAME, 'action', TG_OP, 'id', NEW.id, 'organization', NULL)::text);
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION queue_webhook_deliveries() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    concerned uuid := NEW.metadata ->> 'integration_id';
    hook record;
    body jsonb;
    delay integer;
BEGIN
    FOR hook IN
        SELECT webhooks.id, webhooks.filter, webhooks.is_active FROM webhooks
        WHERE webhooks.organization_id = NEW.organization_id
          AND webhooks.deleted_at IS NULL
          AND webhooks.events && ARRAY['*', NEW.event_type::text, NEW.aggregate_type || '.*']
          AND (webhooks.integration_id = concerned OR concerned IS NULL AND EXISTS (
              SELECT FROM integrations WHERE integrations.id = webhooks.integration_id AND integrations.deleted_at IS NULL))
    LOOP
        IF body IS NULL THEN
            body := jsonb_build_object(
                'type', NEW.event_type,
                'timestamp', to_char(NEW.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                'data', jsonb_build_object(
                    'event_id', NEW.id, 'organization_id', NEW.organization_id, 'integration_id', concerned,
                    'aggregate_type', NEW.aggregate_type, 'aggregate_id', NEW.aggregate_id, 'version', NEW.version,
                    'created_by', NEW.created_by) || NEW.event_data);
            delay := (SELECT (webhook_retry_seconds(settings))[1] FROM organizations WHERE id = NEW.organization_id);
        END IF;
        CONTINUE WHEN hook.filter IS NOT NULL AND NOT webhook_filter_matches(hook.filter, body);
        INSERT INTO webhook_deliveries
            (organization_id, webhook_id, event_type, payload, event_id, event_position, status, run_after, delivery_attempts)
        VALUES (NEW.organization_id, hook.id, NEW.event_type,
            CASE WHEN pg_column_size(body) <= 262144 THEN body
                ELSE jsonb_set(body #- '{data,old}' #- '{data,new}', '{data,is_abridged}', 'true') END, NEW.id, NEW.position,
            CASE WHEN hook.is_active THEN 'pending' ELSE 'held' END, CURRENT_TIMESTAMP + make_interval(secs => delay), 0);
        IF hook.is_active THEN
            PERFORM announce('webhook_deliveries',
                json_build_object('organization', NEW.organization_id, 'webhook', hook.id)::text);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
SET LOCAL ROLE ccb_owner;

REVOKE ALL ON FUNCTION send_announcements() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION send_announcements() TO ccb_service, ccb_worker;
