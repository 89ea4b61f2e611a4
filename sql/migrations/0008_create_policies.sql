-- Who sees and changes what. One policy for each table, command and role, in the shape that keeps an
-- index usable: organization_id = ANY (ARRAY(SELECT permitted_organizations('…'))) is evaluated once a
-- statement; IN (SELECT …) and a function call per row were 800 to 20,000 times slower.
--
-- Deleted rows are seen by those who may delete, and setting or clearing deleted_at asks for the same
-- permission. Where a command is never right, its policy says false. Policies TO ccb_definer let the
-- SECURITY DEFINER functions through: forced row level security binds the owner too, and a policy that
-- looked at its own table would recurse.

CREATE FUNCTION permitted_organizations(permission text, include_deleted boolean DEFAULT false) RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 5
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF NOT key_permits(permission) THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT member.organization_id
    FROM organization_members AS member
    JOIN organizations AS organization ON organization.id = member.organization_id
    WHERE member.user_id = current_user_id()
      AND (current_organization_id() IS NULL OR member.organization_id = current_organization_id())
      AND (include_deleted OR organization.deleted_at IS NULL)
      AND (
          member.permissions ? permission
          OR EXISTS (
              SELECT FROM permissions AS known
              JOIN role_permissions AS given ON given.permission_id = known.id
              WHERE known.name = permission AND given.role = member.role
          )
      );
END
$$;
COMMENT ON FUNCTION permitted_organizations(text, boolean) IS
    'Organizations in which the caller holds the permission: by role or by the member''s own permissions, cut down to the API key''s permissions and organization (ruling 8).';

CREATE FUNCTION member_organizations(permission text) RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 5
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF NOT key_permits(permission) THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT member.organization_id
    FROM organization_members AS member
    JOIN organizations AS organization ON organization.id = member.organization_id
    WHERE member.user_id = current_user_id()
      AND (current_organization_id() IS NULL OR member.organization_id = current_organization_id())
      AND organization.deleted_at IS NULL;
END
$$;
COMMENT ON FUNCTION member_organizations(text) IS
    'Organizations of which the caller is a member in whatever role, where the credential lets the permission through: what authors may do with their own.';

CREATE FUNCTION fellow_members() RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT DISTINCT fellow.user_id
    FROM organization_members AS fellow
    WHERE fellow.organization_id = ANY (ARRAY(SELECT permitted_organizations('members:read')));
END
$$;
COMMENT ON FUNCTION fellow_members() IS 'Users who share an organization with the caller in which the caller may see members.';

REVOKE ALL ON FUNCTION permitted_organizations(text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION member_organizations(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION fellow_members() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION permitted_organizations(text, boolean) TO authenticated_users;
GRANT EXECUTE ON FUNCTION member_organizations(text) TO authenticated_users;
GRANT EXECUTE ON FUNCTION fellow_members() TO authenticated_users;

CREATE FUNCTION personal_organization_id() RETURNS uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN (SELECT id FROM organizations WHERE personal_user_id = current_user_id());
END
$$;
REVOKE ALL ON FUNCTION personal_organization_id() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION personal_organization_id() TO authenticated_users;
-- last, because only an owner grants
ALTER FUNCTION personal_organization_id() OWNER TO ccb_definer;
ALTER FUNCTION permitted_organizations(text, boolean) OWNER TO ccb_definer;
ALTER FUNCTION member_organizations(text) OWNER TO ccb_definer;
ALTER FUNCTION fellow_members() OWNER TO ccb_definer;


-- users: oneself and one's fellow members; registration and passwords go through definer functions
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
GRANT SELECT (id, email, name, avatar_url, preferences, email_verified_at, last_login_at, is_active, created_at, updated_at,
    deleted_at, version) ON users TO authenticated_users;
GRANT UPDATE (name, avatar_url, preferences) ON users TO authenticated_users;
CREATE POLICY users_select ON users FOR SELECT TO authenticated_users
    USING (id = current_user_id() OR id = ANY (ARRAY(SELECT fellow_members())));
CREATE POLICY users_insert ON users FOR INSERT TO authenticated_users
    WITH CHECK (false);
CREATE POLICY users_update ON users FOR UPDATE TO authenticated_users
    USING (id = current_user_id() AND key_permits('profile:update'))
    WITH CHECK (id = current_user_id());
CREATE POLICY users_delete ON users FOR DELETE TO authenticated_users
    USING (false);

-- organizations: those one belongs to; they come to be through create_organization() and register_user()
ALTER TABLE organizations ENABLE ROW LEVEL SECURITY;
ALTER TABLE organizations FORCE ROW LEVEL SECURITY;
GRANT SELECT ON organizations TO authenticated_users;
GRANT UPDATE (name, slug, description, settings, deleted_at) ON organizations TO authenticated_users;
CREATE POLICY organizations_select ON organizations FOR SELECT TO authenticated_users
    USING (
        -- the row's own deleted_at decides, for the function sees an organization as it was before a restore
        CASE WHEN deleted_at IS NULL
            THEN id = ANY (ARRAY(SELECT permitted_organizations('organizations:read', true)))
            ELSE id = ANY (ARRAY(SELECT permitted_organizations('organizations:delete', true)))
        END
    );
CREATE POLICY organizations_insert ON organizations FOR INSERT TO authenticated_users
    WITH CHECK (false);
CREATE POLICY organizations_update ON organizations FOR UPDATE TO authenticated_users
    USING (
        id = ANY (ARRAY(SELECT permitted_organizations('organizations:update')))
        OR id = ANY (ARRAY(SELECT permitted_organizations('organizations:delete', true)))
    )
    WITH CHECK (
        CASE WHEN deleted_at IS NULL
            THEN id = ANY (ARRAY(SELECT permitted_organizations('organizations:update', true)))
            ELSE id = ANY (ARRAY(SELECT permitted_organizations('organizations:delete', true)))
        END
    );
CREATE POLICY organizations_delete ON organizations FOR DELETE TO authenticated_users
    USING (false);

-- organization_members: anybody may leave; guard_membership() keeps the last owner and the ranks
ALTER TABLE organization_members ENABLE ROW LEVEL SECURITY;
ALTER TABLE organization_members FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON organization_members TO authenticated_users;
CREATE POLICY organization_members_select ON organization_members FOR SELECT TO authenticated_users
    USING (
        organization_id = ANY (ARRAY(SELECT permitted_organizations('members:read')))
        OR user_id = current_user_id() AND organization_id = ANY (ARRAY(SELECT permitted_organizations('organizations:read')))
    );
CREATE POLICY organization_members_insert ON organization_members FOR INSERT TO authenticated_users
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('members:create'))));
CREATE POLICY organization_members_update ON organization_members FOR UPDATE TO authenticated_users
    USING (organization_id = ANY (ARRAY(SELECT permitted_organizations('members:update'))))
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('members:update'))));
CREATE POLICY organization_members_delete ON organization_members FOR DELETE TO authenticated_users
    USING (
        organization_id = ANY (ARRAY(SELECT permitted_organizations('members:delete')))
        OR user_id = current_user_id() AND organization_id = ANY (ARRAY(SELECT member_organizations('members:delete')))
    );

-- permissions: the same for everybody, written by migrations only
ALTER TABLE permissions ENABLE ROW LEVEL SECURITY;
ALTER TABLE permissions FORCE ROW LEVEL SECURITY;
GRANT SELECT ON permissions TO authenticated_users;
CREATE POLICY permissions_select ON permissions FOR SELECT TO authenticated_users
    USING (current_user_id() IS NOT NULL);
CREATE POLICY permissions_seed ON permissions FOR ALL TO ccb_owner USING (true) WITH CHECK (true);

-- role_permissions: the same for everybody, written by migrations only
ALTER TABLE role_permissions ENABLE ROW LEVEL SECURITY;
ALTER TABLE role_permissions FORCE ROW LEVEL SECURITY;
GRANT SELECT ON role_permissions TO authenticated_users;
CREATE POLICY role_permissions_select ON role_permissions FOR SELECT TO authenticated_users
    USING (current_user_id() IS NOT NULL);
CREATE POLICY role_permissions_seed ON role_permissions FOR ALL TO ccb_owner USING (true) WITH CHECK (true);

-- integration_status_transitions: the same for everybody, written by migrations only
ALTER TABLE integration_status_transitions ENABLE ROW LEVEL SECURITY;
ALTER TABLE integration_status_transitions FORCE ROW LEVEL SECURITY;
GRANT SELECT ON integration_status_transitions TO authenticated_users;
CREATE POLICY integration_status_transitions_select ON integration_status_transitions FOR SELECT TO authenticated_users
    USING (current_user_id() IS NOT NULL);
CREATE POLICY integration_status_transitions_seed ON integration_status_transitions FOR ALL TO ccb_owner USING (true) WITH CHECK (true);

CREATE FUNCTION within_own_reach(permissions text[], rate_limit integer, expires_at timestamptz) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    own api_keys;
BEGIN
    IF current_permissions() IS NOT NULL AND EXISTS (
        SELECT FROM unnest(within_own_reach.permissions) AS wanted
        WHERE NOT current_permissions() && ARRAY[wanted, split_part(wanted, ':', 1) || ':*', '*']
    ) THEN
        RETURN false;
    END IF;
    IF current_api_key_id() IS NULL THEN
        RETURN current_user_id() IS NOT NULL;
    END IF;
    SELECT * INTO own FROM api_keys WHERE id = current_api_key_id();
    RETURN within_own_reach.rate_limit <= own.rate_limit
        AND (own.expires_at IS NULL OR coalesce(within_own_reach.expires_at, 'infinity') <= own.expires_at);
END
$$;
COMMENT ON FUNCTION within_own_reach(text[], integer, timestamptz) IS
    'Whether the acting API key, if the caller is one, may make or leave a key that reaches this far.';
REVOKE ALL ON FUNCTION within_own_reach(text[], integer, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION within_own_reach(text[], integer, timestamptz) TO authenticated_users;
ALTER FUNCTION within_own_reach(text[], integer, timestamptz) OWNER TO ccb_definer;

-- api_keys: one's own, and those bound to an organization whose keys one may manage.
-- A key never makes another that reaches further than itself.
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
GRANT SELECT (id, user_id, organization_id, name, key_prefix, permissions, rate_limit, last_used_at, expires_at, is_active,
    rotated_to, created_at, updated_at, deleted_at, version) ON api_keys TO authenticated_users;
GRANT INSERT ON api_keys TO authenticated_users;
GRANT UPDATE (name, permissions, rate_limit, expires_at, is_active, rotated_to, deleted_at) ON api_keys TO authenticated_users;
CREATE POLICY api_keys_select ON api_keys FOR SELECT TO authenticated_users
    USING (
        id = current_api_key_id()
        OR user_id = current_user_id() AND key_permits('api_keys:read')
            AND (current_organization_id() IS NULL OR organization_id = current_organization_id())
        OR organization_id = ANY (ARRAY(SELECT permitted_organizations('api_keys:read')))
    );
CREATE POLICY api_keys_insert ON api_keys FOR INSERT TO authenticated_users
    WITH CHECK (
        user_id = current_user_id() AND key_permits('api_keys:create')
            AND (current_organization_id() IS NULL OR organization_id = current_organization_id())
        AND (organization_id IS NULL OR organization_id = ANY (ARRAY(SELECT permitted_organizations('api_keys:create'))))
        AND within_own_reach(permissions, rate_limit, expires_at)
    );
CREATE POLICY api_keys_update ON api_keys FOR UPDATE TO authenticated_users
    USING (
        user_id = current_user_id() AND key_permits('api_keys:update')
            AND (current_organization_id() IS NULL OR organization_id = current_organization_id())
        OR user_id = current_user_id() AND key_permits('api_keys:delete')
            AND (current_organization_id() IS NULL OR organization_id = current_organization_id())
        OR organization_id = ANY (ARRAY(SELECT permitted_organizations('api_keys:delete')))
    )
    WITH CHECK (
        CASE WHEN deleted_at IS NULL
            THEN user_id = current_user_id() AND key_permits('api_keys:update')
            AND (current_organization_id() IS NULL OR organization_id = current_organization_id())
            AND within_own_reach(permissions, rate_limit, expires_at)
            ELSE user_id = current_user_id() AND key_permits('api_keys:delete')
            AND (current_organization_id() IS NULL OR organization_id = current_organization_id())
                OR organization_id = ANY (ARRAY(SELECT permitted_organizations('api_keys:delete')))
        END
    );
CREATE POLICY api_keys_delete ON api_keys FOR DELETE TO authenticated_users
    USING (false);

-- user_sessions: one's own; they begin, go on and end through definer functions
ALTER TABLE user_sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_sessions FORCE ROW LEVEL SECURITY;
GRANT SELECT (id, user_id, ip_address, user_agent, access_expires_at, expires_at, refreshed_at, ended_at, created_at,
    updated_at, version) ON user_sessions TO authenticated_users;
GRANT UPDATE (ended_at) ON user_sessions TO authenticated_users;
CREATE POLICY user_sessions_select ON user_sessions FOR SELECT TO authenticated_users
    USING (user_id = current_user_id() AND key_permits('sessions:read'));
CREATE POLICY user_sessions_insert ON user_sessions FOR INSERT TO authenticated_users
    WITH CHECK (false);
CREATE POLICY user_sessions_update ON user_sessions FOR UPDATE TO authenticated_users
    USING (user_id = current_user_id() AND key_permits('sessions:delete'))
    WITH CHECK (user_id = current_user_id());
CREATE POLICY user_sessions_delete ON user_sessions FOR DELETE TO authenticated_users
    USING (false);

-- user_tokens, rate_limits, login_throttles: only definer functions reach them
ALTER TABLE user_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_tokens FORCE ROW LEVEL SECURITY;
ALTER TABLE rate_limits ENABLE ROW LEVEL SECURITY;
ALTER TABLE rate_limits FORCE ROW LEVEL SECURITY;
ALTER TABLE login_throttles ENABLE ROW LEVEL SECURITY;
ALTER TABLE login_throttles FORCE ROW LEVEL SECURITY;

-- idempotency_keys: the caller's own
ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_keys FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO authenticated_users;
CREATE POLICY idempotency_keys_select ON idempotency_keys FOR SELECT TO authenticated_users
    USING (user_id = current_user_id());
CREATE POLICY idempotency_keys_insert ON idempotency_keys FOR INSERT TO authenticated_users
    WITH CHECK (user_id = current_user_id());
CREATE POLICY idempotency_keys_update ON idempotency_keys FOR UPDATE TO authenticated_users
    USING (user_id = current_user_id())
    WITH CHECK (user_id = current_user_id());
CREATE POLICY idempotency_keys_delete ON idempotency_keys FOR DELETE TO authenticated_users
    USING (user_id = current_user_id());

-- organization_invitations: as members
ALTER TABLE organization_invitations ENABLE ROW LEVEL SECURITY;
ALTER TABLE organization_invitations FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON organization_invitations TO authenticated_users;
CREATE POLICY organization_invitations_select ON organization_invitations FOR SELECT TO authenticated_users
    USING (
        organization_id = ANY (ARRAY(SELECT permitted_organizations('members:read')))
        AND (deleted_at IS NULL OR organization_id = ANY (ARRAY(SELECT permitted_organizations('members:delete'))))
    );
CREATE POLICY organization_invitations_insert ON organization_invitations FOR INSERT TO authenticated_users
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('members:create'))));
CREATE POLICY organization_invitations_update ON organization_invitations FOR UPDATE TO authenticated_users
    USING (
        organization_id = ANY (ARRAY(SELECT permitted_organizations('members:update')))
        OR organization_id = ANY (ARRAY(SELECT permitted_organizations('members:delete')))
    )
    WITH CHECK (
        CASE WHEN deleted_at IS NULL
            THEN organization_id = ANY (ARRAY(SELECT permitted_organizations('members:update')))
            ELSE organization_id = ANY (ARRAY(SELECT permitted_organizations('members:delete')))
        END
    );
CREATE POLICY organization_invitations_delete ON organization_invitations FOR DELETE TO authenticated_users
    USING (false);

-- integration_templates: public ones and those of one's organizations; built-in ones are written by migrations only
ALTER TABLE integration_templates ENABLE ROW LEVEL SECURITY;
ALTER TABLE integration_templates FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON integration_templates TO authenticated_users;
CREATE POLICY integration_templates_select ON integration_templates FOR SELECT TO authenticated_users
    USING (
        is_public AND deleted_at IS NULL AND key_permits('integration_templates:read')
        OR organization_id = ANY (ARRAY(SELECT permitted_organizations('integration_templates:read')))
            AND (deleted_at IS NULL OR organization_id = ANY (ARRAY(SELECT permitted_organizations('integration_templates:delete'))))
    );
CREATE POLICY integration_templates_insert ON integration_templates FOR INSERT TO authenticated_users
    WITH CHECK (
        organization_id = ANY (ARRAY(SELECT permitted_organizations('integration_templates:create')))
        AND author_id = current_user_id()
    );
CREATE POLICY integration_templates_update ON integration_templates FOR UPDATE TO authenticated_users
    USING (
        organization_id = ANY (ARRAY(SELECT permitted_organizations('integration_templates:update')))
        OR organization_id = ANY (ARRAY(SELECT permitted_organizations('integration_templates:delete')))
    )
    WITH CHECK (
        CASE WHEN deleted_at IS NULL
            THEN organization_id = ANY (ARRAY(SELECT permitted_organizations('integration_templates:update')))
            ELSE organization_id = ANY (ARRAY(SELECT permitted_organizations('integration_templates:delete')))
        END
    );
CREATE POLICY integration_templates_delete ON integration_templates FOR DELETE TO authenticated_users
    USING (false);
CREATE POLICY integration_templates_seed ON integration_templates FOR ALL TO ccb_owner
    USING (organization_id IS NULL) WITH CHECK (organization_id IS NULL);

-- integrations: authors may change their own while they are members (ruling 8)
ALTER TABLE integrations ENABLE ROW LEVEL SECURITY;
ALTER TABLE integrations FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT ON integrations TO authenticated_users;
-- not author and template: a template that the caller does not see could otherwise be named later
GRANT UPDATE (name, description, status, service_type, version, config, capabilities, metadata, repository_url,
    documentation_url, health_check_url, last_execution_at, deleted_at) ON integrations TO authenticated_users;
CREATE POLICY integrations_select ON integrations FOR SELECT TO authenticated_users
    USING (
        organization_id = ANY (ARRAY(SELECT permitted_organizations('integrations:read')))
        AND (deleted_at IS NULL OR organization_id = ANY (ARRAY(SELECT permitted_organizations('integrations:delete'))))
    );
CREATE POLICY integrations_insert ON integrations FOR INSERT TO authenticated_users
    WITH CHECK (
        organization_id = ANY (ARRAY(SELECT permitted_organizations('integrations:create')))
        AND author_id = current_user_id()
        -- the foreign key is checked without row level security, so a hidden template must be refused here
        AND (template_id IS NULL OR EXISTS (SELECT FROM integration_templates AS template WHERE template.id = template_id))
    );
CREATE POLICY integrations_update ON integrations FOR UPDATE TO authenticated_users
    USING (
        organization_id = ANY (ARRAY(SELECT permitted_organizations('integrations:update')))
        OR organization_id = ANY (ARRAY(SELECT permitted_organizations('integrations:delete')))
        OR author_id = current_user_id() AND organization_id = ANY (ARRAY(SELECT member_organizations('integrations:update')))
    )
    WITH CHECK (
        CASE WHEN deleted_at IS NULL
            THEN organization_id = ANY (ARRAY(SELECT permitted_organizations('integrations:update')))
                OR author_id = current_user_id() AND organization_id = ANY (ARRAY(SELECT member_organizations('integrations:update')))
            ELSE organization_id = ANY (ARRAY(SELECT permitted_organizations('integrations:delete')))
        END
    );
CREATE POLICY integrations_delete ON integrations FOR DELETE TO authenticated_users
    USING (false);

-- integration_versions: part of their integration; never deleted
ALTER TABLE integration_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE integration_versions FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON integration_versions TO authenticated_users;
CREATE POLICY integration_versions_select ON integration_versions FOR SELECT TO authenticated_users
    USING (organization_id = ANY (ARRAY(SELECT permitted_organizations('integrations:read'))));
CREATE POLICY integration_versions_insert ON integration_versions FOR INSERT TO authenticated_users
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('integrations:update'))));
CREATE POLICY integration_versions_update ON integration_versions FOR UPDATE TO authenticated_users
    USING (organization_id = ANY (ARRAY(SELECT permitted_organizations('integrations:update'))))
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('integrations:update'))));
CREATE POLICY integration_versions_delete ON integration_versions FOR DELETE TO authenticated_users
    USING (false);

-- integration_dependencies: part of their integration
ALTER TABLE integration_dependencies ENABLE ROW LEVEL SECURITY;
ALTER TABLE integration_dependencies FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON integration_dependencies TO authenticated_users;
CREATE POLICY integration_dependencies_select ON integration_dependencies FOR SELECT TO authenticated_users
    USING (organization_id = ANY (ARRAY(SELECT permitted_organizations('integrations:read'))));
CREATE POLICY integration_dependencies_insert ON integration_dependencies FOR INSERT TO authenticated_users
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('integrations:update'))));
CREATE POLICY integration_dependencies_update ON integration_dependencies FOR UPDATE TO authenticated_users
    USING (organization_id = ANY (ARRAY(SELECT permitted_organizations('integrations:update'))))
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('integrations:update'))));
CREATE POLICY integration_dependencies_delete ON integration_dependencies FOR DELETE TO authenticated_users
    USING (organization_id = ANY (ARRAY(SELECT permitted_organizations('integrations:update'))));

-- workflows
ALTER TABLE workflows ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflows FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON workflows TO authenticated_users;
CREATE POLICY workflows_select ON workflows FOR SELECT TO authenticated_users
    USING (
        organization_id = ANY (ARRAY(SELECT permitted_organizations('workflows:read')))
        AND (deleted_at IS NULL OR organization_id = ANY (ARRAY(SELECT permitted_organizations('workflows:delete'))))
    );
CREATE POLICY workflows_insert ON workflows FOR INSERT TO authenticated_users
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('workflows:create'))));
CREATE POLICY workflows_update ON workflows FOR UPDATE TO authenticated_users
    USING (
        organization_id = ANY (ARRAY(SELECT permitted_organizations('workflows:update')))
        OR organization_id = ANY (ARRAY(SELECT permitted_organizations('workflows:delete')))
    )
    WITH CHECK (
        CASE WHEN deleted_at IS NULL
            THEN organization_id = ANY (ARRAY(SELECT permitted_organizations('workflows:update')))
            ELSE organization_id = ANY (ARRAY(SELECT permitted_organizations('workflows:delete')))
        END
    );
CREATE POLICY workflows_delete ON workflows FOR DELETE TO authenticated_users
    USING (false);

-- workflow_versions: kept as they were
ALTER TABLE workflow_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow_versions FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT ON workflow_versions TO authenticated_users;
CREATE POLICY workflow_versions_select ON workflow_versions FOR SELECT TO authenticated_users
    USING (organization_id = ANY (ARRAY(SELECT permitted_organizations('workflows:read'))));
CREATE POLICY workflow_versions_insert ON workflow_versions FOR INSERT TO authenticated_users
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('workflows:update'))));
CREATE POLICY workflow_versions_update ON workflow_versions FOR UPDATE TO authenticated_users
    USING (false)
    WITH CHECK (false);
CREATE POLICY workflow_versions_delete ON workflow_versions FOR DELETE TO authenticated_users
    USING (false);

-- workflow_executions: kept until retention takes them
ALTER TABLE workflow_executions ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow_executions FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON workflow_executions TO authenticated_users;
CREATE POLICY workflow_executions_select ON workflow_executions FOR SELECT TO authenticated_users
    USING (organization_id = ANY (ARRAY(SELECT permitted_organizations('workflow_executions:read'))));
CREATE POLICY workflow_executions_insert ON workflow_executions FOR INSERT TO authenticated_users
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('workflow_executions:create'))));
CREATE POLICY workflow_executions_update ON workflow_executions FOR UPDATE TO authenticated_users
    USING (organization_id = ANY (ARRAY(SELECT permitted_organizations('workflow_executions:update'))))
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('workflow_executions:update'))));
CREATE POLICY workflow_executions_delete ON workflow_executions FOR DELETE TO authenticated_users
    USING (false);

-- workflow_step_executions: part of their execution
ALTER TABLE workflow_step_executions ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow_step_executions FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON workflow_step_executions TO authenticated_users;
CREATE POLICY workflow_step_executions_select ON workflow_step_executions FOR SELECT TO authenticated_users
    USING (organization_id = ANY (ARRAY(SELECT permitted_organizations('workflow_executions:read'))));
CREATE POLICY workflow_step_executions_insert ON workflow_step_executions FOR INSERT TO authenticated_users
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('workflow_executions:update'))));
CREATE POLICY workflow_step_executions_update ON workflow_step_executions FOR UPDATE TO authenticated_users
    USING (organization_id = ANY (ARRAY(SELECT permitted_organizations('workflow_executions:update'))))
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('workflow_executions:update'))));
CREATE POLICY workflow_step_executions_delete ON workflow_step_executions FOR DELETE TO authenticated_users
    USING (false);

-- schedules
ALTER TABLE schedules ENABLE ROW LEVEL SECURITY;
ALTER TABLE schedules FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON schedules TO authenticated_users;
CREATE POLICY schedules_select ON schedules FOR SELECT TO authenticated_users
    USING (
        organization_id = ANY (ARRAY(SELECT permitted_organizations('schedules:read')))
        AND (deleted_at IS NULL OR organization_id = ANY (ARRAY(SELECT permitted_organizations('schedules:delete'))))
    );
CREATE POLICY schedules_insert ON schedules FOR INSERT TO authenticated_users
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('schedules:create'))));
CREATE POLICY schedules_update ON schedules FOR UPDATE TO authenticated_users
    USING (
        organization_id = ANY (ARRAY(SELECT permitted_organizations('schedules:update')))
        OR organization_id = ANY (ARRAY(SELECT permitted_organizations('schedules:delete')))
    )
    WITH CHECK (
        CASE WHEN deleted_at IS NULL
            THEN organization_id = ANY (ARRAY(SELECT permitted_organizations('schedules:update')))
            ELSE organization_id = ANY (ARRAY(SELECT permitted_organizations('schedules:delete')))
        END
    );
CREATE POLICY schedules_delete ON schedules FOR DELETE TO authenticated_users
    USING (false);

-- schedule_runs: written by the worker
ALTER TABLE schedule_runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE schedule_runs FORCE ROW LEVEL SECURITY;
GRANT SELECT ON schedule_runs TO authenticated_users;
CREATE POLICY schedule_runs_select ON schedule_runs FOR SELECT TO authenticated_users
    USING (organization_id = ANY (ARRAY(SELECT permitted_organizations('schedules:read'))));
CREATE POLICY schedule_runs_insert ON schedule_runs FOR INSERT TO authenticated_users
    WITH CHECK (false);
CREATE POLICY schedule_runs_update ON schedule_runs FOR UPDATE TO authenticated_users
    USING (false)
    WITH CHECK (false);
CREATE POLICY schedule_runs_delete ON schedule_runs FOR DELETE TO authenticated_users
    USING (false);

-- webhooks
ALTER TABLE webhooks ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhooks FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON webhooks TO authenticated_users;
CREATE POLICY webhooks_select ON webhooks FOR SELECT TO authenticated_users
    USING (
        organization_id = ANY (ARRAY(SELECT permitted_organizations('webhooks:read')))
        AND (deleted_at IS NULL OR organization_id = ANY (ARRAY(SELECT permitted_organizations('webhooks:delete'))))
    );
CREATE POLICY webhooks_insert ON webhooks FOR INSERT TO authenticated_users
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('webhooks:create'))));
CREATE POLICY webhooks_update ON webhooks FOR UPDATE TO authenticated_users
    USING (
        organization_id = ANY (ARRAY(SELECT permitted_organizations('webhooks:update')))
        OR organization_id = ANY (ARRAY(SELECT permitted_organizations('webhooks:delete')))
    )
    WITH CHECK (
        CASE WHEN deleted_at IS NULL
            THEN organization_id = ANY (ARRAY(SELECT permitted_organizations('webhooks:update')))
            ELSE organization_id = ANY (ARRAY(SELECT permitted_organizations('webhooks:delete')))
        END
    );
CREATE POLICY webhooks_delete ON webhooks FOR DELETE TO authenticated_users
    USING (false);

-- webhook_deliveries: kept until retention takes them
ALTER TABLE webhook_deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_deliveries FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON webhook_deliveries TO authenticated_users;
CREATE POLICY webhook_deliveries_select ON webhook_deliveries FOR SELECT TO authenticated_users
    USING (organization_id = ANY (ARRAY(SELECT permitted_organizations('webhook_deliveries:read'))));
CREATE POLICY webhook_deliveries_insert ON webhook_deliveries FOR INSERT TO authenticated_users
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('webhook_deliveries:create'))));
CREATE POLICY webhook_deliveries_update ON webhook_deliveries FOR UPDATE TO authenticated_users
    USING (organization_id = ANY (ARRAY(SELECT permitted_organizations('webhook_deliveries:update'))))
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('webhook_deliveries:update'))));
CREATE POLICY webhook_deliveries_delete ON webhook_deliveries FOR DELETE TO authenticated_users
    USING (false);

-- integration_executions: kept until retention takes them
ALTER TABLE integration_executions ENABLE ROW LEVEL SECURITY;
ALTER TABLE integration_executions FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON integration_executions TO authenticated_users;
CREATE POLICY integration_executions_select ON integration_executions FOR SELECT TO authenticated_users
    USING (organization_id = ANY (ARRAY(SELECT permitted_organizations('integration_executions:read'))));
CREATE POLICY integration_executions_insert ON integration_executions FOR INSERT TO authenticated_users
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('integration_executions:create'))));
CREATE POLICY integration_executions_update ON integration_executions FOR UPDATE TO authenticated_users
    USING (organization_id = ANY (ARRAY(SELECT permitted_organizations('integration_executions:update'))))
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('integration_executions:update'))));
CREATE POLICY integration_executions_delete ON integration_executions FOR DELETE TO authenticated_users
    USING (false);

-- events: append-only, written by record_event()
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
ALTER TABLE events FORCE ROW LEVEL SECURITY;
GRANT SELECT ON events TO authenticated_users;
CREATE POLICY events_select ON events FOR SELECT TO authenticated_users
    USING (
        organization_id = ANY (ARRAY(SELECT permitted_organizations('events:read')))
        AND (aggregate_type <> 'api_key' OR organization_id = ANY (ARRAY(SELECT permitted_organizations('api_keys:read'))))
    );
CREATE POLICY events_insert ON events FOR INSERT TO authenticated_users
    WITH CHECK (false);
CREATE POLICY events_update ON events FOR UPDATE TO authenticated_users
    USING (false)
    WITH CHECK (false);
CREATE POLICY events_delete ON events FOR DELETE TO authenticated_users
    USING (false);

-- audit_logs: append-only, written by definer functions
ALTER TABLE audit_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_logs FORCE ROW LEVEL SECURITY;
GRANT SELECT ON audit_logs TO authenticated_users;
CREATE POLICY audit_logs_select ON audit_logs FOR SELECT TO authenticated_users
    USING (organization_id = ANY (ARRAY(SELECT permitted_organizations('audit_logs:read'))));
CREATE POLICY audit_logs_insert ON audit_logs FOR INSERT TO authenticated_users
    WITH CHECK (false);
CREATE POLICY audit_logs_update ON audit_logs FOR UPDATE TO authenticated_users
    USING (false)
    WITH CHECK (false);
CREATE POLICY audit_logs_delete ON audit_logs FOR DELETE TO authenticated_users
    USING (false);

-- metrics
ALTER TABLE metrics ENABLE ROW LEVEL SECURITY;
ALTER TABLE metrics FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT ON metrics TO authenticated_users;
CREATE POLICY metrics_select ON metrics FOR SELECT TO authenticated_users
    USING (organization_id = ANY (ARRAY(SELECT permitted_organizations('metrics:read'))));
CREATE POLICY metrics_insert ON metrics FOR INSERT TO authenticated_users
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('metrics:create'))));
CREATE POLICY metrics_update ON metrics FOR UPDATE TO authenticated_users
    USING (false)
    WITH CHECK (false);
CREATE POLICY metrics_delete ON metrics FOR DELETE TO authenticated_users
    USING (false);

-- What the definer functions reach, and no more: events and audit_logs they may only append to.
GRANT SELECT, INSERT, UPDATE, DELETE ON users TO ccb_definer;
CREATE POLICY users_definer ON users FOR ALL TO ccb_definer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON organizations TO ccb_definer;
CREATE POLICY organizations_definer ON organizations FOR ALL TO ccb_definer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON organization_members TO ccb_definer;
CREATE POLICY organization_members_definer ON organization_members FOR ALL TO ccb_definer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON api_keys TO ccb_definer;
CREATE POLICY api_keys_definer ON api_keys FOR ALL TO ccb_definer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON user_sessions TO ccb_definer;
CREATE POLICY user_sessions_definer ON user_sessions FOR ALL TO ccb_definer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON user_tokens TO ccb_definer;
CREATE POLICY user_tokens_definer ON user_tokens FOR ALL TO ccb_definer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON organization_invitations TO ccb_definer;
CREATE POLICY organization_invitations_definer ON organization_invitations FOR ALL TO ccb_definer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON rate_limits TO ccb_definer;
CREATE POLICY rate_limits_definer ON rate_limits FOR ALL TO ccb_definer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON login_throttles TO ccb_definer;
CREATE POLICY login_throttles_definer ON login_throttles FOR ALL TO ccb_definer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO ccb_definer;
CREATE POLICY idempotency_keys_definer ON idempotency_keys FOR ALL TO ccb_definer USING (true) WITH CHECK (true);
GRANT SELECT ON permissions TO ccb_definer;
CREATE POLICY permissions_definer ON permissions FOR SELECT TO ccb_definer USING (true);
GRANT SELECT ON role_permissions TO ccb_definer;
CREATE POLICY role_permissions_definer ON role_permissions FOR SELECT TO ccb_definer USING (true);
GRANT SELECT ON integrations TO ccb_definer;
CREATE POLICY integrations_definer ON integrations FOR SELECT TO ccb_definer USING (true);
GRANT SELECT ON integration_status_transitions TO ccb_definer;
CREATE POLICY integration_status_transitions_definer ON integration_status_transitions FOR SELECT TO ccb_definer USING (true);
GRANT SELECT ON integration_executions TO ccb_definer;
CREATE POLICY integration_executions_definer ON integration_executions FOR SELECT TO ccb_definer USING (true);
GRANT SELECT ON workflow_executions TO ccb_definer;
CREATE POLICY workflow_executions_definer ON workflow_executions FOR SELECT TO ccb_definer USING (true);
GRANT SELECT ON integration_templates TO ccb_definer;
GRANT UPDATE (usage_count) ON integration_templates TO ccb_definer;
CREATE POLICY integration_templates_definer_select ON integration_templates FOR SELECT TO ccb_definer USING (true);
CREATE POLICY integration_templates_definer_update ON integration_templates FOR UPDATE TO ccb_definer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON events TO ccb_definer;
CREATE POLICY events_definer_select ON events FOR SELECT TO ccb_definer USING (true);
CREATE POLICY events_definer_insert ON events FOR INSERT TO ccb_definer WITH CHECK (true);
GRANT SELECT, INSERT ON audit_logs TO ccb_definer;
CREATE POLICY audit_logs_definer_select ON audit_logs FOR SELECT TO ccb_definer USING (true);
CREATE POLICY audit_logs_definer_insert ON audit_logs FOR INSERT TO ccb_definer WITH CHECK (true);
GRANT USAGE ON SEQUENCE events_position_seq TO ccb_definer;

-- Partitions: row level security without a policy, so that naming one directly shows nothing.
DO $$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN SELECT inhrelid::regclass FROM pg_inherits
        JOIN pg_partitioned_table ON partrelid = inhparent JOIN pg_class ON oid = inhrelid WHERE relkind = 'r'
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', partition);
        EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', partition);
    END LOOP;
END
$$;
