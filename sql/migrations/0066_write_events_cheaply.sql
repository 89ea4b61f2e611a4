-- What every change pays for its event, its audit row and its place in the organization's usage, made cheaper.

SET LOCAL ROLE ccb_definer;

-- The server, the table and the timeline are the same for as long as a session that writes: what was found for them is kept
-- with it, and the control file is not read for each event.
CREATE OR REPLACE FUNCTION event_transaction_id() RETURNS xid8
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    here bigint := nullif(current_setting('app.transaction_offset', true), '')::bigint;
BEGIN
    IF here IS NULL THEN
        here := transaction_offset();
        IF here IS NULL THEN
            -- the first ones to write wait for the very first
            INSERT INTO event_clocks (system_identifier, relation, timeline, transaction_offset)
            SELECT control.system_identifier, 'event_clocks'::regclass, current_timeline(), next_transaction_offset()
            FROM pg_control_system() AS control
            ON CONFLICT DO NOTHING;
            here := transaction_offset();
        END IF;
        PERFORM set_config('app.transaction_offset', here::text, false);
    END IF;
    RETURN (here + pg_current_xact_id()::text::bigint)::text::xid8;
END
$$;

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
    origin jsonb := jsonb_strip_nulls(jsonb_build_object(
        'request_id', nullif(current_setting('app.request_id', true), ''), 'api_key_id', current_api_key_id()));
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
        ELSIF aggregate = 'webhook' AND old_values ? 'is_active' THEN
            verb := CASE WHEN (after ->> 'is_active')::boolean THEN 'enabled' ELSE 'disabled' END;
            event_data := event_data || jsonb_build_object('reason', after ->> 'disabled_reason');
        ELSIF before ->> 'password_hash' IS DISTINCT FROM after ->> 'password_hash' THEN
            verb := 'password_changed';
        ELSE
            verb := 'updated';
        END IF;
    END IF;

    state := coalesce(after, before);
    row_version := coalesce(state ->> 'version_number', state ->> 'version')::integer
        + CASE WHEN TG_OP = 'DELETE' THEN 1 ELSE 0 END;
    tenant := (state ->> CASE aggregate WHEN 'organization' THEN 'id' ELSE 'organization_id' END)::uuid;
    IF tenant IS NULL AND aggregate IN ('user', 'api_key') THEN
        tenant := (SELECT id FROM organizations
            WHERE personal_user_id = (state ->> CASE aggregate WHEN 'user' THEN 'id' ELSE 'user_id' END)::uuid);
    END IF;

    -- one statement for both, and no record_audit(): a statement and a call cost as much as what they write
    WITH event AS (
        INSERT INTO events
            (organization_id, aggregate_type, aggregate_id, event_type, event_data, metadata, version, created_by, created_at)
        VALUES (
            tenant, aggregate, aggregate_uuid(state ->> 'id'), aggregate || '.' || verb, event_data,
            origin || jsonb_strip_nulls(jsonb_build_object(
                'integration_id', CASE aggregate WHEN 'integration' THEN state ->> 'id' ELSE state ->> 'integration_id' END)),
            row_version, current_user_id(), moment
        )
    )
    INSERT INTO audit_logs (user_id, organization_id, action, resource_type, resource_id, details, ip_address, user_agent)
    VALUES (current_user_id(), tenant, aggregate || '.' || verb, aggregate, state ->> 'id',
        jsonb_build_object('outcome', 'allowed', 'version', row_version) || origin,
        nullif(current_setting('app.ip_address', true), '')::inet,
        nullif(current_setting('app.user_agent', true), ''));
    RETURN NULL;
END
$$;

SET LOCAL ROLE ccb_owner;

-- Counting what an organization has is not a change of it: not a column that update_timestamp() has to look at.
DROP TRIGGER trigger_organizations_updated_at ON organizations;
CREATE TRIGGER trigger_organizations_updated_at BEFORE UPDATE OF
    id, name, slug, description, plan, settings, limits, personal_user_id, created_at, updated_at, deleted_at, version
    ON organizations FOR EACH ROW EXECUTE FUNCTION update_timestamp();
