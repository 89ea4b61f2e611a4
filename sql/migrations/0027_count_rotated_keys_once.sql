-- A key that was rotated and its successor are one: the old one gives its place away when it is rotated, not when
-- somebody deletes it. The argument behind the resource's name says by how much it changes, where deleted_at does not.

SET LOCAL ROLE ccb_definer;
CREATE OR REPLACE FUNCTION count_usage() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    resource text := TG_ARGV[0];
    tenant uuid;
    change integer := coalesce(TG_ARGV[1]::integer, 1);
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
        IF TG_OP = 'UPDATE' AND TG_ARGV[1] IS NULL THEN
            -- an IF of its own: members are not deleted softly and have no deleted_at
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

CREATE OR REPLACE FUNCTION recount_usage(organization_id uuid) RETURNS jsonb
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
        'api_keys', (SELECT count(*) FROM api_keys WHERE deleted_at IS NULL AND rotated_to IS NULL
            AND (organization_id = $1 OR organization_id IS NULL AND user_id = person)),
        'executions', jsonb_build_object('day', today::text, 'count',
            (SELECT count(*) FROM integration_executions WHERE organization_id = $1 AND started_at >= today AT TIME ZONE 'UTC')
            + (SELECT count(*) FROM workflow_executions WHERE organization_id = $1 AND created_at >= today AT TIME ZONE 'UTC')));
    UPDATE organizations SET usage_stats = counted WHERE id = $1;
    RETURN counted;
END
$$;
SET LOCAL ROLE ccb_owner;

DROP TRIGGER trigger_api_keys_usage_update ON api_keys;
CREATE TRIGGER trigger_api_keys_usage_end AFTER UPDATE ON api_keys
    FOR EACH ROW WHEN (OLD.deleted_at IS NULL AND OLD.rotated_to IS NULL AND (NEW.deleted_at IS NOT NULL OR NEW.rotated_to IS NOT NULL))
    EXECUTE FUNCTION count_usage('api_keys', '-1');
CREATE TRIGGER trigger_api_keys_usage_again AFTER UPDATE ON api_keys
    FOR EACH ROW WHEN ((OLD.deleted_at IS NOT NULL OR OLD.rotated_to IS NOT NULL) AND NEW.deleted_at IS NULL AND NEW.rotated_to IS NULL)
    EXECUTE FUNCTION count_usage('api_keys');

-- the old key names its successor before that is there, so that at the limit a key can still be rotated
ALTER TABLE api_keys ALTER CONSTRAINT fk_api_keys_api_keys DEFERRABLE INITIALLY DEFERRED;

SET LOCAL ROLE ccb_definer;
SELECT recount_usage(id) FROM organizations;
SET LOCAL ROLE ccb_owner;
