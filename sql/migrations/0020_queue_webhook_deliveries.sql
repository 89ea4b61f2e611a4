-- Webhooks: what they hear of, the outbox that queues deliveries in the transaction that caused them, and
-- inbound calls. Claiming and delivering come after this.

ALTER TABLE webhooks
    ADD COLUMN filter TEXT,
    ADD COLUMN is_ordered BOOLEAN NOT NULL DEFAULT false,
    ADD COLUMN rate_limit INTEGER,
    ADD COLUMN max_concurrency INTEGER,
    ADD COLUMN previous_secret TEXT,
    ADD COLUMN previous_secret_expires_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN disabled_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN disabled_reason VARCHAR(50),
    ADD COLUMN failing_since TIMESTAMP WITH TIME ZONE,
    ADD CONSTRAINT ck_webhooks_previous_secret CHECK (previous_secret LIKE 'gAAAA%'),
    ADD CONSTRAINT ck_webhooks_events CHECK (cardinality(events) <= 100),
    ADD CONSTRAINT ck_webhooks_rate_limit CHECK (rate_limit BETWEEN 1 AND 1000),
    ADD CONSTRAINT ck_webhooks_max_concurrency CHECK (max_concurrency BETWEEN 1 AND 100),
    ADD CONSTRAINT ck_webhooks_disabled_reason CHECK (disabled_reason IN ('user', 'gone', 'failing'));
COMMENT ON COLUMN webhooks.filter IS 'SQL/JSON path predicate over the payload; see is_webhook_filter().';
COMMENT ON COLUMN webhooks.is_ordered IS 'Deliver in the order of event_position, one at a time; a failing delivery holds up those behind it.';
COMMENT ON COLUMN webhooks.rate_limit IS 'Attempts a second; NULL for no limit of its own.';
COMMENT ON COLUMN webhooks.max_concurrency IS 'Attempts at the same time; NULL for the default.';
COMMENT ON COLUMN webhooks.previous_secret IS 'Encrypted; signs along until previous_secret_expires_at.';
COMMENT ON COLUMN webhooks.disabled_reason IS 'Who switched it off: its user, a 410 of the endpoint (gone), or failures only for days (failing).';
COMMENT ON COLUMN webhooks.failing_since IS 'First failure after the last success.';

-- event_id and event_position are NULL for a test ping. attempt is the place in the retry schedule, and starts
-- anew when somebody redelivers; delivery_attempts counts all attempts there were.
ALTER TABLE webhook_deliveries
    ADD COLUMN event_id UUID,
    ADD COLUMN event_position BIGINT,
    ADD COLUMN status VARCHAR(50) NOT NULL DEFAULT 'pending',
    ADD COLUMN run_after TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    ADD COLUMN lease_token UUID,
    ADD COLUMN lease_expires_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0,
    ADD COLUMN attempts JSONB NOT NULL DEFAULT '[]',
    ADD CONSTRAINT ck_webhook_deliveries_status CHECK (status IN
        ('pending', 'delivering', 'held', 'delivered', 'exhausted', 'cancelled'));
COMMENT ON COLUMN webhook_deliveries.status IS 'held: kept while the webhook is switched off; cancelled: the webhook was deleted before.';
COMMENT ON COLUMN webhook_deliveries.attempts IS
    'One object for each attempt: number, started_at, duration_ms, response_status, response_headers, response_body, error. The columns of these names are the last attempt''s.';
CREATE INDEX idx_webhook_deliveries_pending ON webhook_deliveries (webhook_id, run_after) WHERE status = 'pending';
CREATE INDEX idx_webhook_deliveries_leased ON webhook_deliveries (lease_expires_at) WHERE status = 'delivering';

CREATE OR REPLACE FUNCTION bookkeeping_columns(table_name text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE table_name
        WHEN 'users' THEN ARRAY['last_login_at']
        WHEN 'organizations' THEN ARRAY['usage_stats']
        WHEN 'api_keys' THEN ARRAY['last_used_at']
        WHEN 'integrations' THEN ARRAY['last_execution_at']
        WHEN 'integration_templates' THEN ARRAY['usage_count']
        WHEN 'webhooks' THEN ARRAY['last_success_at', 'last_failure_at', 'failure_count', 'disabled_at', 'disabled_reason',
            'failing_since']
        WHEN 'schedules' THEN ARRAY['next_run_at']
        WHEN 'workflow_executions' THEN ARRAY['progress', 'run_after', 'lease_token', 'lease_expires_at', 'attempt']
        ELSE '{}'::text[]
    END;

CREATE OR REPLACE FUNCTION secret_columns() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY['password_hash', 'key_hash', 'session_token', 'refresh_token', 'previous_refresh_token', 'token_hash',
        'secret', 'previous_secret'];

-- Taking and extending a lease is no change that anybody reads, so it does not pay for comparing both rows.
DROP TRIGGER trigger_webhook_deliveries_updated_at ON webhook_deliveries;
CREATE TRIGGER trigger_webhook_deliveries_updated_at BEFORE UPDATE ON webhook_deliveries
    FOR EACH ROW WHEN (NEW.lease_expires_at IS NULL OR NEW.lease_expires_at IS NOT DISTINCT FROM OLD.lease_expires_at)
    EXECUTE FUNCTION update_timestamp('created_at');


-- Reach. Secrets are written, never read, by what a request becomes; results of attempts are the worker's.
REVOKE SELECT, INSERT, UPDATE ON webhooks FROM authenticated_users;
GRANT SELECT (id, organization_id, integration_id, url, events, filter, is_ordered, rate_limit, max_concurrency, is_active,
    previous_secret_expires_at, last_success_at, last_failure_at, failure_count, failing_since, disabled_at,
    disabled_reason, created_at, updated_at, deleted_at, version) ON webhooks TO authenticated_users;
GRANT INSERT (organization_id, integration_id, url, events, secret, filter, is_ordered, rate_limit, max_concurrency,
    is_active) ON webhooks TO authenticated_users;
GRANT UPDATE (url, events, secret, filter, is_ordered, rate_limit, max_concurrency, is_active, deleted_at) ON webhooks
    TO authenticated_users;
REVOKE INSERT, UPDATE ON webhook_deliveries FROM authenticated_users;
GRANT INSERT (organization_id, webhook_id, event_type, payload, delivery_attempts) ON webhook_deliveries
    TO authenticated_users;
GRANT UPDATE (status, run_after, attempt) ON webhook_deliveries TO authenticated_users;
GRANT SELECT, UPDATE ON webhooks TO ccb_definer;
CREATE POLICY webhooks_definer ON webhooks FOR ALL TO ccb_definer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON webhook_deliveries TO ccb_definer;
CREATE POLICY webhook_deliveries_definer ON webhook_deliveries FOR ALL TO ccb_definer USING (true) WITH CHECK (true);

CREATE VIEW webhook_listings WITH (security_invoker = true) AS
SELECT id, organization_id, integration_id, url, events, filter, is_ordered, rate_limit, max_concurrency, is_active,
    previous_secret_expires_at, last_success_at, last_failure_at, failure_count, failing_since, disabled_at,
    disabled_reason, created_at, updated_at, deleted_at, version
FROM webhooks;
GRANT SELECT, UPDATE ON webhook_listings TO authenticated_users;

-- A delivery as lists show it, without what may be large.
CREATE VIEW webhook_delivery_listings WITH (security_invoker = true) AS
SELECT id, organization_id, webhook_id, event_type, event_id, event_position, status, run_after, attempt,
    delivery_attempts, response_status, delivered_at, created_at, updated_at, version
FROM webhook_deliveries;
GRANT SELECT, UPDATE ON webhook_delivery_listings TO authenticated_users;


-- What there is to hear of, read from the triggers and tables themselves, so that it cannot fall behind them.
CREATE VIEW event_types WITH (security_invoker = true) AS
WITH aggregates AS (
    SELECT DISTINCT split_part(encode(tgargs, 'escape'), '\000', 1) AS aggregate_type, tgrelid AS relation
    FROM pg_trigger
    WHERE tgfoid = 'record_event'::regproc AND tgparentid = 0
), columns AS (
    SELECT attrelid AS relation, array_agg(attname::text) AS names,
        jsonb_agg(jsonb_build_object('name', attname, 'type', format_type(atttypid, NULL), 'is_nullable', NOT attnotnull)
            ORDER BY attnum) FILTER (
            WHERE attname <> ALL (secret_columns() || bookkeeping_columns(attrelid::regclass::text))) AS shown
    FROM pg_attribute
    WHERE attnum > 0 AND NOT attisdropped AND attrelid IN (SELECT relation FROM aggregates)
    GROUP BY attrelid
), verbs AS (
    SELECT aggregate_type, relation, verb, 'status' = ANY (names) AND verb <> ALL ('{created,updated,deleted,restored}') AS is_status, shown
    FROM aggregates
    JOIN columns USING (relation)
    CROSS JOIN LATERAL (
        VALUES ('created'), ('updated'), ('deleted')
        UNION SELECT 'restored' WHERE 'deleted_at' = ANY (names)
        UNION SELECT 'password_changed' WHERE 'password_hash' = ANY (names)
        UNION SELECT unnest('{activated,deactivated}'::text[]) WHERE aggregate_type = 'integration_version'
        UNION SELECT 'status_changed' WHERE aggregate_type = 'integration'
        UNION SELECT status[1] FROM pg_constraint
            CROSS JOIN LATERAL regexp_matches(pg_get_constraintdef(oid), '''([a-z_]+)''', 'g') AS status
            WHERE conrelid = relation AND conname = 'ck_' || relation::regclass || '_status' AND aggregate_type <> 'integration'
    ) AS found (verb)
)
SELECT aggregate_type || '.' || verb AS name, aggregate_type, verb, is_status, shown AS columns FROM verbs
UNION ALL
-- a test, which only the webhook that it is asked for gets
SELECT 'webhook.ping', 'webhook', 'ping', false, '[]';
COMMENT ON VIEW event_types IS 'Each event type with the columns that its "old" and "new" are made of.';
GRANT SELECT ON event_types TO authenticated_users;

-- A misspelt type would be a webhook that never hears anything.
CREATE FUNCTION check_webhook_events() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF EXISTS (
        SELECT FROM unnest(NEW.events) AS pattern
        WHERE pattern IS NULL OR pattern <> '*' AND NOT EXISTS (
            SELECT FROM event_types WHERE pattern IN (name, aggregate_type || '.*'))
    ) THEN
        RAISE EXCEPTION 'unknown event type' USING ERRCODE = '23514', CONSTRAINT = 'ck_webhooks_events';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER trigger_webhooks_events BEFORE INSERT OR UPDATE OF events ON webhooks
    FOR EACH ROW EXECUTE FUNCTION check_webhook_events();

-- Which filters are let in: predicates whose cost is linear in the payload, for they run in the transactions of
-- others. A filter inside a path (?), a descent to every depth (**), several subscripts, a comparison of two paths and
-- regular expressions can each take exponential or quadratic time.
CREATE FUNCTION is_webhook_filter(filter text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = public, pg_temp
AS $$
DECLARE
    skeleton text;
BEGIN
    -- as PostgreSQL spells it, without the contents of its strings and names
    skeleton := regexp_replace(filter::jsonpath::text, '"(\\.|[^"\\])*"', '""', 'g');
    RETURN length(filter) <= 1000
        AND skeleton !~ '\?|\*\*|,|like_regex'
        AND NOT EXISTS (
            SELECT FROM regexp_split_to_table(skeleton, '&&|\|\|') AS part WHERE part ~ '[$@].*[$@]')
        -- a predicate has one answer, whatever it is asked of; a path finds things or nothing
        AND (SELECT count(*) = 1 AND bool_and(jsonb_typeof(answer) IN ('boolean', 'null'))
            FROM jsonb_path_query('{}', filter::jsonpath, '{}', true) AS answer);
EXCEPTION WHEN OTHERS THEN
    RETURN false; -- not a path at all
END
$$;
ALTER TABLE webhooks ADD CONSTRAINT ck_webhooks_filter CHECK (filter IS NULL OR is_webhook_filter(filter));

CREATE FUNCTION webhook_filter_matches(filter text, payload jsonb) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN coalesce(jsonb_path_match(payload, filter::jsonpath, '{}', true), false);
EXCEPTION WHEN OTHERS THEN
    RETURN false; -- some faults (time zones of dates) are raised in spite of silence; a filter never fails the change
END
$$;

-- The delay before each attempt, counted from the one before.
CREATE FUNCTION webhook_retry_seconds(settings jsonb) RETURNS integer[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN coalesce(
        CASE jsonb_typeof(settings #> '{webhooks,retry_seconds}') WHEN 'array' THEN (
            SELECT array_agg(delay::integer ORDER BY place)
            FROM jsonb_array_elements_text(settings #> '{webhooks,retry_seconds}') WITH ORDINALITY AS given (delay, place)
        ) END,
        '{0,5,300,1800,7200,18000,36000,50400,72000,86400}');
END
$$;
COMMENT ON FUNCTION webhook_retry_seconds(jsonb) IS 'The retry schedule in an organization''s settings, or the default: element n is the delay in seconds before attempt n.';

-- metadata names the integration that an event concerns: an update's event_data holds changed columns only.
SET LOCAL ROLE ccb_definer;
CREATE OR REPLACE FUNCTION record_event() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
    SET timezone = 'UTC'
AS $$
DECLARE
    aggregate text := TG_ARGV[0];
    left_out text[] := secret_columns() || bookkeeping_columns(TG_TABLE_NAME);
    before jsonb;
    after jsonb;
    state jsonb;
    old_values jsonb;
    new_values jsonb;
    verb text;
    event_data jsonb;
    tenant uuid;
    row_version integer;
    moment timestamptz;
BEGIN
    IF TG_OP = 'INSERT' THEN
        after := to_jsonb(NEW);
        event_data := jsonb_build_object('new', after - left_out);
        verb := 'created';
        moment := (after ->> 'created_at')::timestamptz;
    ELSIF TG_OP = 'DELETE' THEN
        before := to_jsonb(OLD);
        event_data := jsonb_build_object('old', before - left_out);
        verb := 'deleted';
        moment := clock_timestamp();
    ELSE
        before := to_jsonb(OLD);
        after := to_jsonb(NEW);
        SELECT jsonb_object_agg(key, before -> key), jsonb_object_agg(key, value) INTO old_values, new_values
        FROM jsonb_each(after - left_out)
        WHERE value IS DISTINCT FROM before -> key;
        event_data := jsonb_build_object('old', old_values, 'new', new_values);
        moment := (after ->> 'updated_at')::timestamptz;
        IF old_values ? 'deleted_at' THEN
            verb := CASE WHEN after ->> 'deleted_at' IS NULL THEN 'restored' ELSE 'deleted' END;
        ELSIF old_values ? 'status' THEN
            verb := CASE WHEN aggregate = 'integration' THEN 'status_changed' ELSE after ->> 'status' END;
            event_data := event_data || jsonb_build_object(
                'old_status', before ->> 'status', 'new_status', after ->> 'status', 'changed_by', current_user_id());
        ELSIF aggregate = 'integration_version' AND old_values ? 'is_active' THEN
            verb := CASE WHEN (after ->> 'is_active')::boolean THEN 'activated' ELSE 'deactivated' END;
        ELSIF before ->> 'password_hash' IS DISTINCT FROM after ->> 'password_hash' THEN
            verb := 'password_changed';
        ELSE
            verb := 'updated';
        END IF;
    END IF;

    state := coalesce(after, before);
    row_version := coalesce(state ->> 'version_number', state ->> 'version')::integer
        + CASE WHEN TG_OP = 'DELETE' THEN 1 ELSE 0 END;
    tenant := CASE aggregate
        WHEN 'organization' THEN (state ->> 'id')::uuid
        WHEN 'user' THEN (SELECT id FROM organizations WHERE personal_user_id = (state ->> 'id')::uuid)
        WHEN 'api_key' THEN coalesce((state ->> 'organization_id')::uuid,
            (SELECT id FROM organizations WHERE personal_user_id = (state ->> 'user_id')::uuid))
        ELSE (state ->> 'organization_id')::uuid
    END;

    INSERT INTO events
        (organization_id, aggregate_type, aggregate_id, event_type, event_data, metadata, version, created_by, created_at)
    VALUES (
        tenant, aggregate, aggregate_uuid(state ->> 'id'), aggregate || '.' || verb, event_data,
        jsonb_strip_nulls(jsonb_build_object(
            'request_id', nullif(current_setting('app.request_id', true), ''), 'api_key_id', current_api_key_id(),
            'integration_id', CASE aggregate WHEN 'integration' THEN state ->> 'id' ELSE state ->> 'integration_id' END)),
        row_version, current_user_id(), moment
    );
    PERFORM record_audit(aggregate || '.' || verb, aggregate, state ->> 'id', tenant,
        jsonb_build_object('outcome', 'allowed', 'version', row_version));
    RETURN NULL;
END
$$;
SET LOCAL ROLE ccb_owner;

-- The outbox. A webhook hears of its own integration and of what concerns no integration, in the transaction that
-- did it; switched off, it keeps what it would have heard. Organizations without webhooks pay one index lookup.
CREATE FUNCTION queue_webhook_deliveries() RETURNS trigger
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
        VALUES (NEW.organization_id, hook.id, NEW.event_type, body, NEW.id, NEW.position,
            CASE WHEN hook.is_active THEN 'pending' ELSE 'held' END, CURRENT_TIMESTAMP + make_interval(secs => delay), 0);
        IF hook.is_active THEN
            PERFORM pg_notify('webhook_deliveries',
                json_build_object('organization', NEW.organization_id, 'webhook', hook.id)::text);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

-- Who switches a webhook off or on, and the secret before: kept by the database, whoever changes the row.
CREATE FUNCTION webhook_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF NEW.is_active AND NOT OLD.is_active THEN
        NEW.disabled_at := NULL;
        NEW.disabled_reason := NULL;
        NEW.failing_since := NULL;
        NEW.failure_count := 0;
    ELSIF OLD.is_active AND NOT NEW.is_active THEN
        NEW.disabled_at := clock_timestamp();
        NEW.disabled_reason := coalesce(NEW.disabled_reason, 'user');
    END IF;
    -- a person rotates; the same secret under a newer key is no other secret, and nobody's doing
    IF NEW.secret IS DISTINCT FROM OLD.secret AND current_user_id() IS NOT NULL THEN
        NEW.previous_secret := OLD.secret;
        NEW.previous_secret_expires_at := clock_timestamp() + interval '24 hours';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER trigger_webhooks_change BEFORE UPDATE OF is_active, secret ON webhooks
    FOR EACH ROW EXECUTE FUNCTION webhook_change();

-- What waits for a webhook goes with it, or is held while it is off.
CREATE FUNCTION settle_webhook_deliveries() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF NEW.deleted_at IS NOT NULL THEN
        UPDATE webhook_deliveries SET status = 'cancelled', lease_token = NULL, lease_expires_at = NULL
        WHERE webhook_id = NEW.id AND status IN ('pending', 'delivering', 'held');
    ELSIF NOT NEW.is_active THEN
        UPDATE webhook_deliveries SET status = 'held' WHERE webhook_id = NEW.id AND status = 'pending';
    END IF;
    RETURN NULL;
END
$$;

-- Messages that inbound calls brought, so that none is taken twice. Kept for a week: longer than senders of
-- Standard Webhooks go on repeating a message, and far longer than a signature is valid.
CREATE TABLE webhook_messages (
    organization_id UUID NOT NULL,
    webhook_id UUID NOT NULL,
    message_id VARCHAR(255) NOT NULL,
    sent_at TIMESTAMP WITH TIME ZONE NOT NULL,
    execution_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT pk_webhook_messages PRIMARY KEY (organization_id, webhook_id, message_id),
    CONSTRAINT fk_webhook_messages_webhooks FOREIGN KEY (organization_id, webhook_id)
        REFERENCES webhooks (organization_id, id)
);
COMMENT ON COLUMN webhook_messages.sent_at IS 'The newest webhook-timestamp that the message came with.';
CREATE INDEX idx_webhook_messages_org_created ON webhook_messages (organization_id, webhook_id, created_at);
ALTER TABLE webhook_messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_messages FORCE ROW LEVEL SECURITY;
CREATE POLICY webhook_messages_select ON webhook_messages FOR SELECT TO authenticated_users USING (false);
CREATE POLICY webhook_messages_insert ON webhook_messages FOR INSERT TO authenticated_users WITH CHECK (false);
CREATE POLICY webhook_messages_update ON webhook_messages FOR UPDATE TO authenticated_users USING (false) WITH CHECK (false);
CREATE POLICY webhook_messages_delete ON webhook_messages FOR DELETE TO authenticated_users USING (false);
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_messages TO ccb_definer;
CREATE POLICY webhook_messages_definer ON webhook_messages FOR ALL TO ccb_definer USING (true) WITH CHECK (true);

CREATE FUNCTION inbound_hook_secrets(webhook_id uuid) RETURNS TABLE (secret text, previous_secret text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT hook.secret, CASE WHEN hook.previous_secret_expires_at > clock_timestamp() THEN hook.previous_secret END
    FROM webhooks AS hook
    JOIN integrations AS integration ON integration.id = hook.integration_id
    JOIN organizations AS organization ON organization.id = hook.organization_id
    WHERE hook.id = $1 AND hook.is_active AND hook.secret IS NOT NULL
      AND hook.deleted_at IS NULL AND integration.deleted_at IS NULL AND organization.deleted_at IS NULL;
END
$$;
COMMENT ON FUNCTION inbound_hook_secrets(uuid) IS 'The encrypted secrets that a call of this webhook may be signed with; no row for one that takes no calls.';

-- After the signature was right. A message with a newer timestamp than before is its sender's repetition, who missed
-- the answer: it gets that answer again. The same or an older timestamp is a replay.
CREATE FUNCTION accept_inbound_hook(
    webhook_id uuid, message_id text, sent_at timestamptz, trigger_data jsonb, calls_an_hour integer,
    request_id text, ip_address text, user_agent text
) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    hook record;
    started uuid := gen_random_uuid();
    known uuid;
BEGIN
    SELECT id, organization_id, integration_id INTO hook FROM webhooks WHERE id = $1 AND is_active AND deleted_at IS NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM take_request('hook ' || hook.id, $5);
    INSERT INTO webhook_messages AS message (organization_id, webhook_id, message_id, sent_at, execution_id)
    VALUES (hook.organization_id, hook.id, $2, $3, started)
    ON CONFLICT ON CONSTRAINT pk_webhook_messages DO UPDATE SET sent_at = EXCLUDED.sent_at WHERE message.sent_at < EXCLUDED.sent_at
    RETURNING message.execution_id INTO known;
    IF known IS NULL THEN
        RAISE EXCEPTION 'this message was received before' USING ERRCODE = 'CB009';
    ELSIF known = started THEN
        PERFORM set_context(NULL, NULL, NULL, NULL, NULL, $6, $7, $8);
        INSERT INTO integration_executions (id, organization_id, integration_id, trigger_type, trigger_data, status)
        VALUES (started, hook.organization_id, hook.integration_id, 'webhook', $4, 'pending');
        DELETE FROM webhook_messages AS message
        WHERE message.organization_id = hook.organization_id AND message.webhook_id = hook.id
          AND message.created_at < CURRENT_TIMESTAMP - interval '7 days';
    END IF;
    RETURN known;
END
$$;
COMMENT ON FUNCTION accept_inbound_hook(uuid, text, timestamptz, jsonb, integer, text, text, text) IS
    'Starts an execution of the webhook''s integration; gives its id, or NULL where the webhook takes no calls any more.';
GRANT INSERT ON integration_executions TO ccb_definer;
DO $$
BEGIN
    -- whoever lets the definer start executions first, one policy does
    IF NOT EXISTS (
        SELECT FROM pg_policy WHERE polrelid = 'integration_executions'::regclass AND polcmd IN ('a', '*')
          AND 'ccb_definer'::regrole = ANY (polroles)
    ) THEN
        CREATE POLICY integration_executions_definer_insert ON integration_executions FOR INSERT TO ccb_definer WITH CHECK (true);
    END IF;
END
$$;

REVOKE ALL ON FUNCTION queue_webhook_deliveries() FROM PUBLIC;
REVOKE ALL ON FUNCTION settle_webhook_deliveries() FROM PUBLIC;
REVOKE ALL ON FUNCTION inbound_hook_secrets(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION inbound_hook_secrets(uuid) TO ccb_service;
REVOKE ALL ON FUNCTION accept_inbound_hook(uuid, text, timestamptz, jsonb, integer, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION accept_inbound_hook(uuid, text, timestamptz, jsonb, integer, text, text, text) TO ccb_service;
-- last, because only an owner grants
ALTER FUNCTION queue_webhook_deliveries() OWNER TO ccb_definer;
ALTER FUNCTION settle_webhook_deliveries() OWNER TO ccb_definer;
ALTER FUNCTION inbound_hook_secrets(uuid) OWNER TO ccb_definer;
ALTER FUNCTION accept_inbound_hook(uuid, text, timestamptz, jsonb, integer, text, text, text) OWNER TO ccb_definer;
-- the owner makes triggers of them, here and on every new partition
SET LOCAL ROLE ccb_definer;
GRANT EXECUTE ON FUNCTION queue_webhook_deliveries(), settle_webhook_deliveries() TO ccb_owner;
SET LOCAL ROLE ccb_owner;
CREATE TRIGGER trigger_events_outbox AFTER INSERT ON events
    FOR EACH ROW WHEN (NEW.organization_id IS NOT NULL) EXECUTE FUNCTION queue_webhook_deliveries();
CREATE TRIGGER trigger_webhooks_deliveries AFTER UPDATE OF deleted_at, is_active ON webhooks
    FOR EACH ROW WHEN (OLD.is_active AND NOT NEW.is_active OR OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION settle_webhook_deliveries();
