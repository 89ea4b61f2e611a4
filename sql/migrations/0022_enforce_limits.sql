-- How much an organization may have of what, counted by the database as rows come and go.

CREATE TABLE plans (
    name VARCHAR(50) NOT NULL,
    limits JSONB NOT NULL DEFAULT '{}',
    CONSTRAINT pk_plans PRIMARY KEY (name),
    CONSTRAINT ck_plans_limits CHECK (jsonb_typeof(limits) = 'object')
);
COMMENT ON TABLE plans IS 'What organizations of a plan may have, where their own limits do not say otherwise; null is as much as they like.';
ALTER TABLE plans ENABLE ROW LEVEL SECURITY;
ALTER TABLE plans FORCE ROW LEVEL SECURITY;
GRANT SELECT ON plans TO authenticated_users, ccb_definer;
CREATE POLICY plans_select ON plans FOR SELECT TO authenticated_users
    USING (current_user_id() IS NOT NULL);
CREATE POLICY plans_definer ON plans FOR SELECT TO ccb_definer USING (true);
CREATE POLICY plans_seed ON plans FOR ALL TO ccb_owner USING (true) WITH CHECK (true);

INSERT INTO plans (name, limits) VALUES
    ('free', '{"integrations": 100, "members": 10, "webhooks": 20, "api_keys": 50, "workflows": 50, "executions_per_day": 1000}'),
    ('pro', '{"integrations": 2000, "members": 200, "webhooks": 500, "api_keys": 500, "workflows": 1000, "executions_per_day": 100000}'),
    ('enterprise', '{"integrations": null, "members": null, "webhooks": null, "api_keys": null, "workflows": null, "executions_per_day": null}');

ALTER TABLE organizations
    ADD CONSTRAINT fk_organizations_plans FOREIGN KEY (plan) REFERENCES plans (name);

-- organizations.usage_stats: {"integrations": 7, …, "executions": {"day": "2026-11-23", "count": 12}}. The row's lock makes
-- those who create at the same moment wait for each other, so that no two of them take the last place. The argument is
-- the resource's name in limits and usage.
CREATE FUNCTION count_usage() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    resource text := TG_ARGV[0];
    tenant uuid;
    change integer := 1;
    used integer;
    allowed jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN
        tenant := OLD.organization_id;
        change := -1;
    ELSE
        tenant := NEW.organization_id;
        IF tenant IS NULL THEN -- a key that reaches all of its owner's organizations
            tenant := (SELECT id FROM organizations WHERE personal_user_id = NEW.user_id);
        END IF;
        IF TG_OP = 'UPDATE' THEN -- an IF of its own: members are not deleted softly and have no deleted_at
            change := CASE WHEN NEW.deleted_at IS NULL THEN 1 ELSE -1 END;
        END IF;
    END IF;
    UPDATE organizations AS organization
    SET usage_stats = usage_stats || jsonb_build_object(resource, greatest(0, coalesce((usage_stats ->> resource)::integer, 0) + change))
    WHERE organization.id = tenant
    RETURNING (usage_stats ->> resource)::integer,
        coalesce(limits -> resource, (SELECT plans.limits -> resource FROM plans WHERE plans.name = organization.plan))
    INTO used, allowed;
    IF change > 0 THEN
        PERFORM check_limit(resource, used, allowed);
    END IF;
    RETURN NULL;
END
$$;

-- Executions count by the day, in UTC: what was used yesterday leaves today's budget whole.
CREATE FUNCTION count_execution() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    today text := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    used integer;
    allowed jsonb;
BEGIN
    UPDATE organizations AS organization
    SET usage_stats = usage_stats || jsonb_build_object('executions', jsonb_build_object(
        'day', today,
        'count', 1 + CASE WHEN usage_stats #>> '{executions,day}' = today
            THEN (usage_stats #>> '{executions,count}')::integer ELSE 0 END))
    WHERE organization.id = NEW.organization_id
    RETURNING (usage_stats #>> '{executions,count}')::integer, coalesce(limits -> 'executions_per_day',
        (SELECT plans.limits -> 'executions_per_day' FROM plans WHERE plans.name = organization.plan))
    INTO used, allowed;
    PERFORM check_limit('executions_per_day', used, allowed);
    RETURN NULL;
END
$$;

CREATE FUNCTION check_limit(resource text, used integer, allowed jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF jsonb_typeof(allowed) = 'number' AND used > allowed::numeric THEN
        RAISE EXCEPTION 'the organization has reached its limit of % %', allowed, replace(resource, '_', ' ')
            USING ERRCODE = 'CB003', DETAIL = json_build_object('resource', resource, 'limit', allowed)::text;
    END IF;
END
$$;

-- What the counters should say, from the rows themselves. Takes the organization's lock first, so that nobody counts meanwhile.
CREATE FUNCTION recount_usage(organization_id uuid) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    counted jsonb;
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    person uuid;
BEGIN
    SELECT organizations.personal_user_id INTO person FROM organizations WHERE id = $1 FOR NO KEY UPDATE;
    counted := jsonb_build_object(
        'integrations', (SELECT count(*) FROM integrations WHERE organization_id = $1 AND deleted_at IS NULL),
        'members', (SELECT count(*) FROM organization_members WHERE organization_id = $1),
        'webhooks', (SELECT count(*) FROM webhooks WHERE organization_id = $1 AND deleted_at IS NULL),
        'workflows', (SELECT count(*) FROM workflows WHERE organization_id = $1 AND deleted_at IS NULL),
        'api_keys', (SELECT count(*) FROM api_keys WHERE deleted_at IS NULL
            AND (organization_id = $1 OR organization_id IS NULL AND user_id = person)),
        'executions', jsonb_build_object('day', today::text, 'count',
            (SELECT count(*) FROM integration_executions WHERE organization_id = $1 AND started_at >= today AT TIME ZONE 'UTC')
            + (SELECT count(*) FROM workflow_executions WHERE organization_id = $1 AND created_at >= today AT TIME ZONE 'UTC')));
    UPDATE organizations SET usage_stats = counted WHERE id = $1;
    RETURN counted;
END
$$;
COMMENT ON FUNCTION recount_usage(uuid) IS 'Counts an organization''s usage anew, for rows that were loaded past the triggers.';

-- what is counted anew
GRANT SELECT ON webhooks, workflows TO ccb_definer;
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_policy WHERE polname = 'webhooks_definer') THEN
        CREATE POLICY webhooks_definer ON webhooks FOR SELECT TO ccb_definer USING (true);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_policy WHERE polname = 'workflows_definer') THEN
        CREATE POLICY workflows_definer ON workflows FOR SELECT TO ccb_definer USING (true);
    END IF;
END
$$;

-- What the command line changes: no role of the service may touch plans and limits.
CREATE FUNCTION set_plan(organization_id uuid, plan text, limits jsonb) RETURNS SETOF organizations
    LANGUAGE sql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
    UPDATE organizations SET
        plan = coalesce($2, organizations.plan),
        limits = organizations.limits || coalesce($3, '{}')
    WHERE id = $1 AND deleted_at IS NULL
    RETURNING *
$$;
COMMENT ON FUNCTION set_plan(uuid, text, jsonb) IS 'Puts an organization on a plan and gives it limits of its own, beside those it has.';

REVOKE ALL ON FUNCTION count_usage() FROM PUBLIC;
REVOKE ALL ON FUNCTION count_execution() FROM PUBLIC;
REVOKE ALL ON FUNCTION recount_usage(uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION set_plan(uuid, text, jsonb) FROM PUBLIC;
-- last, because only an owner grants
ALTER FUNCTION count_usage() OWNER TO ccb_definer;
ALTER FUNCTION count_execution() OWNER TO ccb_definer;
ALTER FUNCTION recount_usage(uuid) OWNER TO ccb_definer;
ALTER FUNCTION set_plan(uuid, text, jsonb) OWNER TO ccb_definer;

-- The organization as it is with its first member counted.
SET LOCAL ROLE ccb_definer;
CREATE OR REPLACE FUNCTION create_organization(name text, slug text, description text, settings jsonb) RETURNS SETOF organizations
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    organization organizations;
BEGIN
    -- a key that is bound to one organization could not even see another
    IF NOT key_permits('organizations:create') OR current_organization_id() IS NOT NULL THEN
        RAISE EXCEPTION 'organizations may not be created with this credential' USING ERRCODE = '42501';
    END IF;
    INSERT INTO organizations (name, slug, description, settings) VALUES ($1, $2, $3, coalesce($4, '{}'))
    RETURNING * INTO organization;
    INSERT INTO organization_members (organization_id, user_id, role) VALUES (organization.id, current_user_id(), 'owner');
    RETURN QUERY SELECT * FROM organizations WHERE id = organization.id;
END
$$;
-- the owner makes triggers of them, here and on every new partition, and acts for the command line
GRANT EXECUTE ON FUNCTION count_usage(), count_execution(), recount_usage(uuid), set_plan(uuid, text, jsonb) TO ccb_owner;
SET LOCAL ROLE ccb_owner;

CREATE TRIGGER trigger_integrations_usage AFTER INSERT ON integrations
    FOR EACH ROW EXECUTE FUNCTION count_usage('integrations');
CREATE TRIGGER trigger_integrations_usage_update AFTER UPDATE ON integrations
    FOR EACH ROW WHEN ((OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL)) EXECUTE FUNCTION count_usage('integrations');
CREATE TRIGGER trigger_webhooks_usage AFTER INSERT ON webhooks
    FOR EACH ROW EXECUTE FUNCTION count_usage('webhooks');
CREATE TRIGGER trigger_webhooks_usage_update AFTER UPDATE ON webhooks
    FOR EACH ROW WHEN ((OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL)) EXECUTE FUNCTION count_usage('webhooks');
CREATE TRIGGER trigger_workflows_usage AFTER INSERT ON workflows
    FOR EACH ROW EXECUTE FUNCTION count_usage('workflows');
CREATE TRIGGER trigger_workflows_usage_update AFTER UPDATE ON workflows
    FOR EACH ROW WHEN ((OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL)) EXECUTE FUNCTION count_usage('workflows');
CREATE TRIGGER trigger_api_keys_usage AFTER INSERT ON api_keys
    FOR EACH ROW EXECUTE FUNCTION count_usage('api_keys');
CREATE TRIGGER trigger_api_keys_usage_update AFTER UPDATE ON api_keys
    FOR EACH ROW WHEN ((OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL)) EXECUTE FUNCTION count_usage('api_keys');
CREATE TRIGGER trigger_organization_members_usage AFTER INSERT OR DELETE ON organization_members
    FOR EACH ROW EXECUTE FUNCTION count_usage('members');
CREATE TRIGGER trigger_integration_executions_usage AFTER INSERT ON integration_executions
    FOR EACH ROW EXECUTE FUNCTION count_execution();
CREATE TRIGGER trigger_workflow_executions_usage AFTER INSERT ON workflow_executions
    FOR EACH ROW EXECUTE FUNCTION count_execution();

-- Counting is bookkeeping: it is nobody's news.
DROP TRIGGER trigger_organizations_notify ON organizations;
CREATE TRIGGER trigger_organizations_notify AFTER INSERT OR DELETE ON organizations
    FOR EACH ROW EXECUTE FUNCTION notify_event();
CREATE TRIGGER trigger_organizations_notify_update AFTER UPDATE ON organizations
    FOR EACH ROW WHEN (OLD.version <> NEW.version) EXECUTE FUNCTION notify_event();
-- room beside the row for its next versions
ALTER TABLE organizations SET (fillfactor = 70);

-- those who are there already
SET LOCAL ROLE ccb_definer;
SELECT recount_usage(id) FROM organizations;
SET LOCAL ROLE ccb_owner;
