-- What the database does by itself when rows change: versions, events, audit, notifications, rules.

-- An aggregate is named by a uuid; templates have text ids, so theirs is derived.
CREATE FUNCTION aggregate_uuid(id text) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' THEN id::uuid
        ELSE md5(id)::uuid
    END;

CREATE FUNCTION record_audit(
    action text, resource_type text, resource_id text, organization_id uuid, details jsonb,
    user_id uuid DEFAULT current_user_id()
) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    INSERT INTO audit_logs (user_id, organization_id, action, resource_type, resource_id, details, ip_address, user_agent)
    VALUES ($6, $4, $1, $2, $3,
        $5 || jsonb_strip_nulls(jsonb_build_object(
            'request_id', nullif(current_setting('app.request_id', true), ''), 'api_key_id', current_api_key_id())),
        nullif(current_setting('app.ip_address', true), '')::inet,
        nullif(current_setting('app.user_agent', true), ''));
END
$$;
COMMENT ON FUNCTION record_audit(text, text, text, uuid, jsonb, uuid) IS 'Appends to audit_logs what happened, with the request''s address, agent and id.';

-- Ruling 4: every change of every aggregate is an event. event_data holds the changed columns under
-- "old" and "new"; folding "new" over the events in the order of their versions gives the row.
CREATE FUNCTION record_event() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
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
            'request_id', nullif(current_setting('app.request_id', true), ''), 'api_key_id', current_api_key_id())),
        row_version, current_user_id(), moment
    );
    PERFORM record_audit(aggregate || '.' || verb, aggregate, state ->> 'id', tenant,
        jsonb_build_object('outcome', 'allowed', 'version', row_version));
    RETURN NULL;
END
$$;

-- Ruling 27: wakes workers and feeds live streams. The table's name is the parent's for a partition.
CREATE FUNCTION notify_event() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
DECLARE
    state jsonb := to_jsonb(coalesce(NEW, OLD));
BEGIN
    PERFORM pg_notify(
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

-- Rulings 3 and 14: a status moves only along integration_status_transitions, and starts as a draft.
CREATE FUNCTION integration_status_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    origin text := CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END;
BEGIN
    IF NOT EXISTS (
        SELECT FROM integration_status_transitions WHERE from_status = origin AND to_status = NEW.status
    ) THEN
        RAISE EXCEPTION 'integration status cannot move from % to %', coalesce(origin, 'nothing'), NEW.status
            USING ERRCODE = 'CB001', DETAIL = json_build_object(
                'from', origin, 'to', NEW.status,
                'allowed', CASE WHEN origin IS NULL THEN ARRAY['draft'] ELSE ARRAY(
                    SELECT to_status FROM integration_status_transitions WHERE from_status = origin ORDER BY 1) END
            )::text;
    END IF;
    IF NEW.status = 'active' THEN
        NEW.deployed_at := CURRENT_TIMESTAMP;
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION count_template_use() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    UPDATE integration_templates SET usage_count = usage_count + 1 WHERE id = NEW.template_id;
    RETURN NULL;
END
$$;

CREATE FUNCTION role_rank(role text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN array_position(ARRAY['viewer', 'developer', 'admin', 'owner'], role);

-- Ruling 13, and: nobody hands out, changes or removes a rank above their own, nor a permission they lack.
CREATE FUNCTION guard_membership() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    tenant uuid := CASE WHEN TG_OP = 'DELETE' THEN OLD.organization_id ELSE NEW.organization_id END;
    actor_rank integer;
    touched_rank integer;
    lacking text[];
BEGIN
    -- two owners who leave at the same moment must not both find the other still there
    PERFORM FROM organizations WHERE id = tenant FOR NO KEY UPDATE;
    IF TG_OP = 'INSERT' AND NOT EXISTS (SELECT FROM organization_members WHERE organization_id = tenant) THEN
        RETURN NEW; -- the first owner
    END IF;

    actor_rank := (SELECT role_rank(role) FROM organization_members
        WHERE organization_id = tenant AND user_id = current_user_id());
    touched_rank := greatest(
        CASE WHEN TG_OP <> 'INSERT' THEN role_rank(OLD.role) END,
        CASE WHEN TG_OP <> 'DELETE' THEN role_rank(NEW.role) END);
    IF current_user_id() IS NOT NULL AND coalesce(actor_rank, 0) < touched_rank THEN
        RAISE EXCEPTION 'this needs a higher role' USING ERRCODE = 'CB006';
    END IF;

    IF TG_OP <> 'DELETE' THEN
        SELECT array_agg(wanted) INTO lacking FROM jsonb_array_elements_text(NEW.permissions) AS wanted
        WHERE (TG_OP = 'INSERT' OR NOT OLD.permissions ? wanted)
          AND NOT tenant = ANY (ARRAY(SELECT permitted_organizations(wanted)));
        IF current_user_id() IS NOT NULL AND lacking IS NOT NULL THEN
            RAISE EXCEPTION 'nobody gives what they do not have: %', array_to_string(lacking, ', ')
                USING ERRCODE = 'CB006';
        END IF;
    END IF;

    IF TG_OP <> 'INSERT' AND OLD.role = 'owner' AND (TG_OP = 'DELETE' OR NEW.role <> 'owner') AND NOT EXISTS (
        SELECT FROM organization_members
        WHERE organization_id = tenant AND role = 'owner' AND user_id <> OLD.user_id
    ) THEN
        RAISE EXCEPTION 'an organization keeps at least one owner' USING ERRCODE = 'CB002';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END
$$;

-- A permission that does not exist would be a silent hole or a silent wall.
CREATE FUNCTION check_permission_names() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    unknown text[];
BEGIN
    SELECT array_agg(wanted) INTO unknown
    FROM jsonb_array_elements_text(to_jsonb(NEW) -> 'permissions') AS wanted
    WHERE NOT EXISTS (SELECT FROM permissions WHERE name = wanted)
      AND NOT (TG_TABLE_NAME = 'api_keys' AND (
          wanted = '*' OR EXISTS (SELECT FROM permissions WHERE resource || ':*' = wanted)));
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'unknown permissions: %', array_to_string(unknown, ', ') USING ERRCODE = 'CB007';
    END IF;
    RETURN NEW;
END
$$;

REVOKE ALL ON FUNCTION record_audit(text, text, text, uuid, jsonb, uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION record_event() FROM PUBLIC;
REVOKE ALL ON FUNCTION integration_status_change() FROM PUBLIC;
REVOKE ALL ON FUNCTION count_template_use() FROM PUBLIC;
REVOKE ALL ON FUNCTION guard_membership() FROM PUBLIC;
REVOKE ALL ON FUNCTION check_permission_names() FROM PUBLIC;
-- last, because only an owner grants
ALTER FUNCTION record_audit(text, text, text, uuid, jsonb, uuid) OWNER TO ccb_definer;
ALTER FUNCTION record_event() OWNER TO ccb_definer;
ALTER FUNCTION integration_status_change() OWNER TO ccb_definer;
ALTER FUNCTION count_template_use() OWNER TO ccb_definer;
ALTER FUNCTION guard_membership() OWNER TO ccb_definer;
ALTER FUNCTION check_permission_names() OWNER TO ccb_definer;
-- the owner makes triggers of them, here and on every new partition
SET LOCAL ROLE ccb_definer;
GRANT EXECUTE ON FUNCTION record_event(), integration_status_change(), count_template_use(), guard_membership(),
    check_permission_names() TO ccb_owner;
SET LOCAL ROLE ccb_owner;

-- Versions, on every mutable table. Triggers of one kind fire in the order of their names.
CREATE TRIGGER trigger_users_updated_at BEFORE UPDATE ON users
    FOR EACH ROW EXECUTE FUNCTION update_timestamp();
CREATE TRIGGER trigger_organizations_updated_at BEFORE UPDATE ON organizations
    FOR EACH ROW EXECUTE FUNCTION update_timestamp();
CREATE TRIGGER trigger_organization_members_updated_at BEFORE UPDATE ON organization_members
    FOR EACH ROW EXECUTE FUNCTION update_timestamp();
CREATE TRIGGER trigger_api_keys_updated_at BEFORE UPDATE ON api_keys
    FOR EACH ROW EXECUTE FUNCTION update_timestamp();
CREATE TRIGGER trigger_user_sessions_updated_at BEFORE UPDATE ON user_sessions
    FOR EACH ROW EXECUTE FUNCTION update_timestamp();
CREATE TRIGGER trigger_organization_invitations_updated_at BEFORE UPDATE ON organization_invitations
    FOR EACH ROW EXECUTE FUNCTION update_timestamp();
CREATE TRIGGER trigger_integration_templates_updated_at BEFORE UPDATE ON integration_templates
    FOR EACH ROW EXECUTE FUNCTION update_timestamp();
CREATE TRIGGER trigger_integrations_updated_at BEFORE UPDATE ON integrations
    FOR EACH ROW EXECUTE FUNCTION update_timestamp();
CREATE TRIGGER trigger_integration_versions_updated_at BEFORE UPDATE ON integration_versions
    FOR EACH ROW EXECUTE FUNCTION update_timestamp();
CREATE TRIGGER trigger_integration_dependencies_updated_at BEFORE UPDATE ON integration_dependencies
    FOR EACH ROW EXECUTE FUNCTION update_timestamp();
CREATE TRIGGER trigger_workflows_updated_at BEFORE UPDATE ON workflows
    FOR EACH ROW EXECUTE FUNCTION update_timestamp();
CREATE TRIGGER trigger_workflow_executions_updated_at BEFORE UPDATE ON workflow_executions
    FOR EACH ROW EXECUTE FUNCTION update_timestamp();
CREATE TRIGGER trigger_workflow_step_executions_updated_at BEFORE UPDATE ON workflow_step_executions
    FOR EACH ROW EXECUTE FUNCTION update_timestamp();
CREATE TRIGGER trigger_schedules_updated_at BEFORE UPDATE ON schedules
    FOR EACH ROW EXECUTE FUNCTION update_timestamp();
CREATE TRIGGER trigger_webhooks_updated_at BEFORE UPDATE ON webhooks
    FOR EACH ROW EXECUTE FUNCTION update_timestamp();
CREATE TRIGGER trigger_webhook_deliveries_updated_at BEFORE UPDATE ON webhook_deliveries
    FOR EACH ROW EXECUTE FUNCTION update_timestamp('created_at');
CREATE TRIGGER trigger_integration_executions_updated_at BEFORE UPDATE ON integration_executions
    FOR EACH ROW EXECUTE FUNCTION update_timestamp('started_at');

-- Events and notifications, on every aggregate. An UPDATE is an event where it made a new version.
CREATE TRIGGER trigger_users_event AFTER INSERT OR DELETE ON users
    FOR EACH ROW EXECUTE FUNCTION record_event('user');
CREATE TRIGGER trigger_users_event_update AFTER UPDATE ON users
    FOR EACH ROW WHEN (OLD.version <> NEW.version) EXECUTE FUNCTION record_event('user');
CREATE TRIGGER trigger_users_notify AFTER INSERT OR UPDATE OR DELETE ON users
    FOR EACH ROW EXECUTE FUNCTION notify_event();
CREATE TRIGGER trigger_organizations_event AFTER INSERT OR DELETE ON organizations
    FOR EACH ROW EXECUTE FUNCTION record_event('organization');
CREATE TRIGGER trigger_organizations_event_update AFTER UPDATE ON organizations
    FOR EACH ROW WHEN (OLD.version <> NEW.version) EXECUTE FUNCTION record_event('organization');
CREATE TRIGGER trigger_organizations_notify AFTER INSERT OR UPDATE OR DELETE ON organizations
    FOR EACH ROW EXECUTE FUNCTION notify_event();
CREATE TRIGGER trigger_organization_members_event AFTER INSERT OR DELETE ON organization_members
    FOR EACH ROW EXECUTE FUNCTION record_event('organization_member');
CREATE TRIGGER trigger_organization_members_event_update AFTER UPDATE ON organization_members
    FOR EACH ROW WHEN (OLD.version <> NEW.version) EXECUTE FUNCTION record_event('organization_member');
CREATE TRIGGER trigger_organization_members_notify AFTER INSERT OR UPDATE OR DELETE ON organization_members
    FOR EACH ROW EXECUTE FUNCTION notify_event();
CREATE TRIGGER trigger_organization_invitations_event AFTER INSERT OR DELETE ON organization_invitations
    FOR EACH ROW EXECUTE FUNCTION record_event('organization_invitation');
CREATE TRIGGER trigger_organization_invitations_event_update AFTER UPDATE ON organization_invitations
    FOR EACH ROW WHEN (OLD.version <> NEW.version) EXECUTE FUNCTION record_event('organization_invitation');
CREATE TRIGGER trigger_organization_invitations_notify AFTER INSERT OR UPDATE OR DELETE ON organization_invitations
    FOR EACH ROW EXECUTE FUNCTION notify_event();
CREATE TRIGGER trigger_api_keys_event AFTER INSERT OR DELETE ON api_keys
    FOR EACH ROW EXECUTE FUNCTION record_event('api_key');
CREATE TRIGGER trigger_api_keys_event_update AFTER UPDATE ON api_keys
    FOR EACH ROW WHEN (OLD.version <> NEW.version) EXECUTE FUNCTION record_event('api_key');
CREATE TRIGGER trigger_api_keys_notify AFTER INSERT OR UPDATE OR DELETE ON api_keys
    FOR EACH ROW EXECUTE FUNCTION notify_event();
CREATE TRIGGER trigger_integration_templates_event AFTER INSERT OR DELETE ON integration_templates
    FOR EACH ROW EXECUTE FUNCTION record_event('integration_template');
CREATE TRIGGER trigger_integration_templates_event_update AFTER UPDATE ON integration_templates
    FOR EACH ROW WHEN (OLD.version <> NEW.version) EXECUTE FUNCTION record_event('integration_template');
CREATE TRIGGER trigger_integration_templates_notify AFTER INSERT OR UPDATE OR DELETE ON integration_templates
    FOR EACH ROW EXECUTE FUNCTION notify_event();
CREATE TRIGGER trigger_integrations_event AFTER INSERT OR DELETE ON integrations
    FOR EACH ROW EXECUTE FUNCTION record_event('integration');
CREATE TRIGGER trigger_integrations_event_update AFTER UPDATE ON integrations
    FOR EACH ROW WHEN (OLD.version_number <> NEW.version_number) EXECUTE FUNCTION record_event('integration');
CREATE TRIGGER trigger_integrations_notify AFTER INSERT OR UPDATE OR DELETE ON integrations
    FOR EACH ROW EXECUTE FUNCTION notify_event();
CREATE TRIGGER trigger_integration_versions_event AFTER INSERT OR DELETE ON integration_versions
    FOR EACH ROW EXECUTE FUNCTION record_event('integration_version');
CREATE TRIGGER trigger_integration_versions_event_update AFTER UPDATE ON integration_versions
    FOR EACH ROW WHEN (OLD.version_number <> NEW.version_number) EXECUTE FUNCTION record_event('integration_version');
CREATE TRIGGER trigger_integration_versions_notify AFTER INSERT OR UPDATE OR DELETE ON integration_versions
    FOR EACH ROW EXECUTE FUNCTION notify_event();
CREATE TRIGGER trigger_integration_dependencies_event AFTER INSERT OR DELETE ON integration_dependencies
    FOR EACH ROW EXECUTE FUNCTION record_event('integration_dependency');
CREATE TRIGGER trigger_integration_dependencies_event_update AFTER UPDATE ON integration_dependencies
    FOR EACH ROW WHEN (OLD.version <> NEW.version) EXECUTE FUNCTION record_event('integration_dependency');
CREATE TRIGGER trigger_integration_dependencies_notify AFTER INSERT OR UPDATE OR DELETE ON integration_dependencies
    FOR EACH ROW EXECUTE FUNCTION notify_event();
CREATE TRIGGER trigger_integration_executions_event AFTER INSERT OR DELETE ON integration_executions
    FOR EACH ROW EXECUTE FUNCTION record_event('integration_execution');
CREATE TRIGGER trigger_integration_executions_event_update AFTER UPDATE ON integration_executions
    FOR EACH ROW WHEN (OLD.version <> NEW.version) EXECUTE FUNCTION record_event('integration_execution');
CREATE TRIGGER trigger_integration_executions_notify AFTER INSERT OR UPDATE OR DELETE ON integration_executions
    FOR EACH ROW EXECUTE FUNCTION notify_event();
CREATE TRIGGER trigger_workflows_event AFTER INSERT OR DELETE ON workflows
    FOR EACH ROW EXECUTE FUNCTION record_event('workflow');
CREATE TRIGGER trigger_workflows_event_update AFTER UPDATE ON workflows
    FOR EACH ROW WHEN (OLD.version_number <> NEW.version_number) EXECUTE FUNCTION record_event('workflow');
CREATE TRIGGER trigger_workflows_notify AFTER INSERT OR UPDATE OR DELETE ON workflows
    FOR EACH ROW EXECUTE FUNCTION notify_event();
CREATE TRIGGER trigger_workflow_executions_event AFTER INSERT OR DELETE ON workflow_executions
    FOR EACH ROW EXECUTE FUNCTION record_event('workflow_execution');
CREATE TRIGGER trigger_workflow_executions_event_update AFTER UPDATE ON workflow_executions
    FOR EACH ROW WHEN (OLD.version <> NEW.version) EXECUTE FUNCTION record_event('workflow_execution');
CREATE TRIGGER trigger_workflow_executions_notify AFTER INSERT OR UPDATE OR DELETE ON workflow_executions
    FOR EACH ROW EXECUTE FUNCTION notify_event();
CREATE TRIGGER trigger_schedules_event AFTER INSERT OR DELETE ON schedules
    FOR EACH ROW EXECUTE FUNCTION record_event('schedule');
CREATE TRIGGER trigger_schedules_event_update AFTER UPDATE ON schedules
    FOR EACH ROW WHEN (OLD.version <> NEW.version) EXECUTE FUNCTION record_event('schedule');
CREATE TRIGGER trigger_schedules_notify AFTER INSERT OR UPDATE OR DELETE ON schedules
    FOR EACH ROW EXECUTE FUNCTION notify_event();
CREATE TRIGGER trigger_webhooks_event AFTER INSERT OR DELETE ON webhooks
    FOR EACH ROW EXECUTE FUNCTION record_event('webhook');
CREATE TRIGGER trigger_webhooks_event_update AFTER UPDATE ON webhooks
    FOR EACH ROW WHEN (OLD.version <> NEW.version) EXECUTE FUNCTION record_event('webhook');
CREATE TRIGGER trigger_webhooks_notify AFTER INSERT OR UPDATE OR DELETE ON webhooks
    FOR EACH ROW EXECUTE FUNCTION notify_event();

-- Rules.
CREATE TRIGGER trigger_integration_status_change BEFORE UPDATE OF status ON integrations
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION integration_status_change();
CREATE TRIGGER trigger_integration_first_status BEFORE INSERT ON integrations
    FOR EACH ROW WHEN (NEW.status <> 'draft') EXECUTE FUNCTION integration_status_change();
CREATE TRIGGER trigger_integrations_template_use AFTER INSERT ON integrations
    FOR EACH ROW WHEN (NEW.template_id IS NOT NULL) EXECUTE FUNCTION count_template_use();
-- after the check of permission names: triggers of one kind fire in the order of their names
CREATE TRIGGER trigger_organization_members_rank BEFORE INSERT OR UPDATE OR DELETE ON organization_members
    FOR EACH ROW EXECUTE FUNCTION guard_membership();
CREATE TRIGGER trigger_organization_members_permissions BEFORE INSERT OR UPDATE OF permissions ON organization_members
    FOR EACH ROW WHEN (NEW.permissions <> '[]') EXECUTE FUNCTION check_permission_names();
CREATE TRIGGER trigger_api_keys_permissions BEFORE INSERT OR UPDATE OF permissions ON api_keys
    FOR EACH ROW EXECUTE FUNCTION check_permission_names();
