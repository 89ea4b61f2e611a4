-- Executions of integrations from their start to their end, and checks of integrations' health.
--
-- CB019: a deleted or deprecated integration does not run.

CREATE FUNCTION execution_statuses_after(status text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN $1 IS NULL THEN ARRAY['pending', 'running']
        WHEN $1 = 'pending' THEN ARRAY['cancelled', 'failed', 'running']
        WHEN $1 = 'running' THEN ARRAY['cancelled', 'completed', 'failed']
        ELSE ARRAY[]::text[]
    END;
COMMENT ON FUNCTION execution_statuses_after(text) IS 'Where an execution of an integration can go from a status; from NULL, how it may start (ruling 14).';

-- Whoever opens and closes an execution, an internal service, a schedule or a signed call: the same rules.
CREATE FUNCTION integration_execution_status_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    origin text := CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END;
BEGIN
    IF TG_OP = 'INSERT' AND EXISTS (
        SELECT FROM integrations
        WHERE organization_id = NEW.organization_id AND id = NEW.integration_id
          AND (deleted_at IS NOT NULL OR status = 'deprecated')
    ) THEN
        RAISE EXCEPTION 'an integration that is deleted or deprecated does not run' USING ERRCODE = 'CB019';
    END IF;
    -- one that has ended stays as it is; saying its end again changes nothing
    IF origin = NEW.status AND to_jsonb(OLD) - ARRAY['updated_at', 'version'] = to_jsonb(NEW) - ARRAY['updated_at', 'version'] THEN
        RETURN NEW;
    END IF;
    IF NOT NEW.status = ANY (execution_statuses_after(origin)) THEN
        RAISE EXCEPTION 'an execution cannot move from % to %', coalesce(origin, 'nothing'), NEW.status
            USING ERRCODE = 'CB001', DETAIL = json_build_object(
                'from', origin, 'to', NEW.status, 'allowed', execution_statuses_after(origin))::text;
    END IF;
    IF NEW.status IN ('completed', 'failed', 'cancelled') THEN
        NEW.completed_at := clock_timestamp();
        -- whoever ran it may have measured it; a month in milliseconds is more than an integer holds
        NEW.duration_ms := coalesce(NEW.duration_ms,
            greatest(0, least(2147483647, extract(epoch FROM NEW.completed_at - NEW.started_at) * 1000))::integer);
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION note_last_execution() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    UPDATE integrations SET last_execution_at = NEW.started_at
    WHERE organization_id = NEW.organization_id AND id = NEW.integration_id
      AND (last_execution_at IS NULL OR last_execution_at < NEW.started_at);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION note_last_execution() IS 'When the newest execution that has ended began, as integration_stats counts it too.';

REVOKE ALL ON FUNCTION integration_execution_status_change() FROM PUBLIC;
REVOKE ALL ON FUNCTION note_last_execution() FROM PUBLIC;
ALTER FUNCTION integration_execution_status_change() OWNER TO ccb_definer;
ALTER FUNCTION note_last_execution() OWNER TO ccb_definer;
-- the owner makes triggers of them, here and on every new partition
SET LOCAL ROLE ccb_definer;
GRANT EXECUTE ON FUNCTION integration_execution_status_change(), note_last_execution() TO ccb_owner;
SET LOCAL ROLE ccb_owner;
GRANT UPDATE (last_execution_at) ON integrations TO ccb_definer;
CREATE POLICY integrations_definer_update ON integrations FOR UPDATE TO ccb_definer USING (true) WITH CHECK (true);

CREATE TRIGGER trigger_integration_executions_first_status BEFORE INSERT ON integration_executions
    FOR EACH ROW EXECUTE FUNCTION integration_execution_status_change();
CREATE TRIGGER trigger_integration_executions_status_change BEFORE UPDATE ON integration_executions
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status OR OLD.status IN ('completed', 'failed', 'cancelled'))
    EXECUTE FUNCTION integration_execution_status_change();
CREATE TRIGGER trigger_integration_executions_last_execution AFTER UPDATE ON integration_executions
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status AND NEW.status IN ('completed', 'failed', 'cancelled'))
    EXECUTE FUNCTION note_last_execution();

-- Retention runs as the owner, and nobody else deletes executions: what it takes away is no event, and wakes nobody.
DROP TRIGGER trigger_integration_executions_event ON integration_executions;
CREATE TRIGGER trigger_integration_executions_event AFTER INSERT OR DELETE ON integration_executions
    FOR EACH ROW WHEN (current_user <> 'ccb_owner') EXECUTE FUNCTION record_event('integration_execution');
DROP TRIGGER trigger_integration_executions_notify ON integration_executions;
CREATE TRIGGER trigger_integration_executions_notify AFTER INSERT OR UPDATE OR DELETE ON integration_executions
    FOR EACH ROW WHEN (current_user <> 'ccb_owner') EXECUTE FUNCTION notify_event();

-- last_execution_at is bookkeeping: an execution's end is not news of the integration.
DROP TRIGGER trigger_integrations_notify ON integrations;
CREATE TRIGGER trigger_integrations_notify AFTER INSERT OR DELETE ON integrations
    FOR EACH ROW EXECUTE FUNCTION notify_event();
CREATE TRIGGER trigger_integrations_notify_update AFTER UPDATE ON integrations
    FOR EACH ROW WHEN (OLD.version_number <> NEW.version_number) EXECUTE FUNCTION notify_event();


-- Health checks on request: rows that a worker claims. Not aggregates: nothing happens to an integration by being asked.
CREATE TABLE integration_health_checks (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL,
    integration_id UUID NOT NULL,
    status VARCHAR(50) NOT NULL DEFAULT 'pending',
    http_status INTEGER,
    latency_ms INTEGER,
    error_message TEXT,
    run_after TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    lease_token UUID,
    lease_expires_at TIMESTAMP WITH TIME ZONE,
    attempt INTEGER NOT NULL DEFAULT 0,
    requested_by UUID,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    version INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT pk_integration_health_checks PRIMARY KEY (id),
    CONSTRAINT fk_integration_health_checks_integrations FOREIGN KEY (organization_id, integration_id)
        REFERENCES integrations (organization_id, id),
    CONSTRAINT fk_integration_health_checks_users FOREIGN KEY (requested_by) REFERENCES users (id),
    CONSTRAINT ck_integration_health_checks_status CHECK (status IN ('pending', 'healthy', 'unhealthy', 'failed'))
);
COMMENT ON COLUMN integration_health_checks.run_after IS 'When it may be claimed: from now on, and while it is leased from the end of the lease.';
CREATE INDEX idx_integration_health_checks_org_integration
    ON integration_health_checks (organization_id, integration_id, created_at, id);
CREATE INDEX idx_integration_health_checks_due ON integration_health_checks (run_after) WHERE status = 'pending';
CREATE INDEX idx_integration_health_checks_requested_by ON integration_health_checks (requested_by);
-- asking twice is asking once, as long as nobody has answered
CREATE UNIQUE INDEX uq_integration_health_checks_pending
    ON integration_health_checks (organization_id, integration_id) WHERE status = 'pending';

ALTER TABLE integration_health_checks ENABLE ROW LEVEL SECURITY;
ALTER TABLE integration_health_checks FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT ON integration_health_checks TO authenticated_users;
CREATE POLICY integration_health_checks_select ON integration_health_checks FOR SELECT TO authenticated_users
    USING (organization_id = ANY (ARRAY(SELECT permitted_organizations('integrations:read'))));
CREATE POLICY integration_health_checks_insert ON integration_health_checks FOR INSERT TO authenticated_users
    WITH CHECK (organization_id = ANY (ARRAY(SELECT permitted_organizations('integrations:update'))));
CREATE POLICY integration_health_checks_update ON integration_health_checks FOR UPDATE TO authenticated_users
    USING (false)
    WITH CHECK (false);
CREATE POLICY integration_health_checks_delete ON integration_health_checks FOR DELETE TO authenticated_users
    USING (false);
GRANT SELECT, UPDATE, DELETE ON integration_health_checks TO ccb_definer;
CREATE POLICY integration_health_checks_definer ON integration_health_checks FOR ALL TO ccb_definer USING (true) WITH CHECK (true);

CREATE TRIGGER trigger_integration_health_checks_updated_at BEFORE UPDATE ON integration_health_checks
    FOR EACH ROW EXECUTE FUNCTION update_timestamp();
CREATE TRIGGER trigger_integration_health_checks_notify AFTER INSERT ON integration_health_checks
    FOR EACH ROW EXECUTE FUNCTION notify_event();
CREATE TRIGGER trigger_integration_health_checks_notify_update AFTER UPDATE ON integration_health_checks
    FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION notify_event();

-- A lease token is the worker's own business.
CREATE VIEW integration_health_check_listings WITH (security_invoker = true) AS
SELECT id, organization_id, integration_id, status, http_status, latency_ms, error_message, attempt, requested_by, created_at,
    updated_at, version
FROM integration_health_checks;
GRANT SELECT, INSERT ON integration_health_check_listings TO authenticated_users;

-- A batch, a check of each organization in turn; what was taken before and whose lease has run out is taken again.
CREATE FUNCTION claim_health_checks(batch integer, lease interval)
    RETURNS TABLE (id uuid, lease_token uuid, url text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    most_attempts CONSTANT integer := 5;
BEGIN
    UPDATE integration_health_checks AS given_up
    SET status = 'failed', lease_token = NULL, lease_expires_at = NULL,
        error_message = 'Taken up ' || most_attempts || ' times, and never reported on.'
    FROM (
        SELECT id FROM integration_health_checks
        WHERE status = 'pending' AND attempt >= most_attempts AND run_after <= clock_timestamp()
        FOR UPDATE SKIP LOCKED
    ) AS locked
    WHERE given_up.id = locked.id;

    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT id FROM (
            SELECT id, run_after, row_number() OVER (PARTITION BY organization_id ORDER BY run_after) AS turn
            FROM integration_health_checks
            WHERE status = 'pending' AND run_after <= clock_timestamp()
        ) AS queued
        ORDER BY turn, run_after LIMIT $1
    ), locked AS MATERIALIZED (
        SELECT id FROM integration_health_checks
        WHERE id IN (SELECT id FROM due) AND status = 'pending' AND run_after <= clock_timestamp()
        FOR UPDATE SKIP LOCKED
    )
    UPDATE integration_health_checks AS claimed
    SET lease_token = gen_random_uuid(), lease_expires_at = clock_timestamp() + $2, run_after = clock_timestamp() + $2,
        attempt = attempt + 1
    FROM locked
    WHERE claimed.id = locked.id
    RETURNING claimed.id, claimed.lease_token, (
        SELECT health_check_url::text FROM integrations
        WHERE integrations.id = claimed.integration_id AND deleted_at IS NULL
    );
END
$$;
COMMENT ON FUNCTION claim_health_checks(integer, interval) IS 'Leases up to a number of due checks, each with a new token; url is NULL where there is nothing to ask any more.';

CREATE FUNCTION complete_health_check(
    id uuid, lease_token uuid, status text, http_status integer, latency_ms integer, error_message text
) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    completed record;
BEGIN
    UPDATE integration_health_checks
    SET status = $3, http_status = $4, latency_ms = $5, error_message = $6, lease_token = NULL, lease_expires_at = NULL
    WHERE id = $1 AND lease_token = $2 AND status = 'pending'
    RETURNING organization_id, integration_id INTO completed;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- nobody looks further back
    DELETE FROM integration_health_checks
    WHERE id IN (
        SELECT id FROM integration_health_checks
        WHERE organization_id = completed.organization_id AND integration_id = completed.integration_id
        ORDER BY created_at DESC, id DESC OFFSET 100
    );
    RETURN true;
END
$$;
COMMENT ON FUNCTION complete_health_check(uuid, uuid, text, integer, integer, text) IS 'Reports on a check; false where its lease has gone to somebody else. An integration keeps its newest hundred.';

REVOKE ALL ON FUNCTION claim_health_checks(integer, interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION complete_health_check(uuid, uuid, text, integer, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_health_checks(integer, interval) TO ccb_worker;
GRANT EXECUTE ON FUNCTION complete_health_check(uuid, uuid, text, integer, integer, text) TO ccb_worker;
-- last, because only an owner grants
ALTER FUNCTION claim_health_checks(integer, interval) OWNER TO ccb_definer;
ALTER FUNCTION complete_health_check(uuid, uuid, text, integer, integer, text) OWNER TO ccb_definer;
