-- Workflows keep their definitions by version, executions the version that they started with; how executions may move
-- is a table; what they say while they run is another.

-- Each accepted change of a definition is a version, written by the database alone: nobody forges or forgets one.
ALTER TABLE workflows
    ADD COLUMN definition_version INTEGER NOT NULL DEFAULT 1,
    ADD CONSTRAINT ck_workflows_definition CHECK (jsonb_typeof(definition) = 'object');
CREATE INDEX idx_workflows_org_updated ON workflows (organization_id, updated_at, id);
CREATE INDEX idx_workflows_org_name ON workflows (organization_id, name, id);
COMMENT ON COLUMN workflows.definition_version IS 'Which of workflow_versions the definition is: the newest.';

ALTER TABLE workflow_versions
    DROP CONSTRAINT uq_workflow_versions_workflow_id_version_number,
    DROP CONSTRAINT fk_workflow_versions_workflows,
    -- a workflow that is deleted for good, which no role of the service does, takes along the versions that none has run
    ADD CONSTRAINT fk_workflow_versions_workflows FOREIGN KEY (organization_id, workflow_id)
        REFERENCES workflows (organization_id, id) ON DELETE CASCADE,
    ADD CONSTRAINT uq_workflow_versions_organization_id_workflow_id_version_number
        UNIQUE (organization_id, workflow_id, version_number);
REVOKE INSERT ON workflow_versions FROM authenticated_users;
DROP POLICY workflow_versions_insert ON workflow_versions;
CREATE POLICY workflow_versions_insert ON workflow_versions FOR INSERT TO authenticated_users
    WITH CHECK (false);

CREATE FUNCTION number_definition() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    NEW.definition_version := CASE WHEN TG_OP = 'INSERT' THEN 1
        ELSE OLD.definition_version + (NEW.definition IS DISTINCT FROM OLD.definition)::integer END;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION number_definition() IS 'Numbers the definitions of a workflow, whatever the statement says.';

CREATE FUNCTION keep_definition() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    INSERT INTO workflow_versions (organization_id, workflow_id, version_number, version, definition, created_by)
    VALUES (NEW.organization_id, NEW.id, NEW.definition_version, NEW.version, NEW.definition,
        coalesce(current_user_id(), NEW.created_by));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION keep_definition() IS 'Keeps each definition of a workflow as a version.';

-- An execution keeps the version it started with; without one it takes the workflow's present one.
ALTER TABLE workflow_executions
    ADD COLUMN workflow_version_number INTEGER,
    ADD COLUMN cancel_requested_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN suspend_requested_at TIMESTAMP WITH TIME ZONE,
    ADD CONSTRAINT fk_workflow_executions_workflow_versions
        FOREIGN KEY (organization_id, workflow_id, workflow_version_number)
        REFERENCES workflow_versions (organization_id, workflow_id, version_number);
CREATE INDEX idx_workflow_executions_org_version
    ON workflow_executions (organization_id, workflow_id, workflow_version_number);
CREATE INDEX idx_workflow_executions_org_updated ON workflow_executions (organization_id, updated_at, id);
CREATE INDEX idx_workflow_executions_org_status ON workflow_executions (organization_id, status, created_at, id);
COMMENT ON COLUMN workflow_executions.cancel_requested_at IS 'Asked for while it ran: whoever holds its lease sees it at the next heartbeat.';
COMMENT ON COLUMN workflow_executions.suspend_requested_at IS 'Asked for while it ran: whoever holds its lease sees it at the next heartbeat.';

CREATE FUNCTION pin_workflow_version() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    NEW.workflow_version_number := (SELECT definition_version FROM workflows
        WHERE id = NEW.workflow_id AND organization_id = NEW.organization_id);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION pin_workflow_version() IS 'An execution that names a workflow and no version runs the present one.';

-- The only ways an execution, or a step of one, may move; whoever moves it, worker or person.
CREATE TABLE workflow_status_transitions (
    from_status VARCHAR(50) NOT NULL,
    to_status VARCHAR(50) NOT NULL,
    CONSTRAINT pk_workflow_status_transitions PRIMARY KEY (from_status, to_status)
);
COMMENT ON TABLE workflow_status_transitions IS 'The only ways the status of an execution of a workflow, or of a step, may move.';
INSERT INTO workflow_status_transitions (from_status, to_status) VALUES
    -- claimed; stopped before that; out of time while nothing ran
    ('pending', 'running'), ('pending', 'suspended'), ('pending', 'cancelled'), ('pending', 'faulted'),
    -- waits for a time, an event or an internal service; released by a worker that stops, or taken from a dead one
    ('running', 'waiting'), ('running', 'pending'),
    ('running', 'suspended'), ('running', 'cancelled'), ('running', 'faulted'), ('running', 'completed'),
    -- woken, claimed at once, or over with what it waited for
    ('waiting', 'pending'), ('waiting', 'running'), ('waiting', 'completed'),
    ('waiting', 'suspended'), ('waiting', 'cancelled'), ('waiting', 'faulted'),
    -- resumed
    ('suspended', 'pending'), ('suspended', 'cancelled'), ('suspended', 'faulted'),
    -- tried again; what is completed stays so
    ('faulted', 'pending'), ('cancelled', 'pending');
ALTER TABLE workflow_status_transitions ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow_status_transitions FORCE ROW LEVEL SECURITY;
GRANT SELECT ON workflow_status_transitions TO authenticated_users, ccb_definer;
CREATE POLICY workflow_status_transitions_select ON workflow_status_transitions FOR SELECT TO authenticated_users
    USING (current_user_id() IS NOT NULL);
CREATE POLICY workflow_status_transitions_definer ON workflow_status_transitions FOR SELECT TO ccb_definer USING (true);
CREATE POLICY workflow_status_transitions_seed ON workflow_status_transitions FOR ALL TO ccb_owner USING (true) WITH CHECK (true);

CREATE FUNCTION workflow_status_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM workflow_status_transitions WHERE from_status = OLD.status AND to_status = NEW.status
    ) THEN
        RAISE EXCEPTION 'the status cannot move from % to %', OLD.status, NEW.status
            USING ERRCODE = 'CB001', DETAIL = json_build_object(
                'from', OLD.status, 'to', NEW.status, 'allowed', ARRAY(
                    SELECT to_status FROM workflow_status_transitions WHERE from_status = OLD.status ORDER BY 1)
            )::text;
    END IF;
    IF NEW.status = 'running' THEN
        NEW.started_at := coalesce(NEW.started_at, CURRENT_TIMESTAMP);
    END IF;
    NEW.completed_at := CASE WHEN NEW.status IN ('completed', 'cancelled', 'faulted')
        THEN coalesce(NEW.completed_at, CURRENT_TIMESTAMP) END;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION workflow_status_change() IS 'Holds executions and steps to workflow_status_transitions, and keeps their times.';

-- What was asked for is over once the status has moved; an execution that has stopped is nobody's.
CREATE FUNCTION settle_workflow_execution() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF NEW.status <> 'running' THEN
        NEW.lease_token := NULL;
        NEW.lease_expires_at := NULL;
    END IF;
    IF NEW.status IN ('suspended', 'cancelled', 'faulted', 'completed') OR OLD.status IN ('suspended', 'cancelled', 'faulted') THEN
        NEW.suspend_requested_at := NULL;
    END IF;
    IF OLD.status IN ('cancelled', 'faulted') THEN
        NEW.cancel_requested_at := NULL;
        NEW.error_message := NULL;
    END IF;
    IF NEW.status = 'completed' THEN
        NEW.progress := 100;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION settle_workflow_execution() IS 'Clears lease and requests when an execution moves on.';

-- Steps follow their execution: what waits is cancelled with it, what failed is tried again, what succeeded is kept.
CREATE FUNCTION move_workflow_steps() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF NEW.status = 'cancelled' THEN
        UPDATE workflow_step_executions SET status = 'cancelled'
        WHERE workflow_execution_id = NEW.id AND organization_id = NEW.organization_id
          AND status IN ('pending', 'waiting', 'suspended');
    ELSIF NEW.status = 'pending' AND OLD.status IN ('cancelled', 'faulted') THEN
        UPDATE workflow_step_executions
        SET status = 'pending', error_message = NULL, output_data = NULL, duration_ms = NULL, run_after = NULL,
            lease_token = NULL, lease_expires_at = NULL, retry_count = retry_count + 1
        WHERE workflow_execution_id = NEW.id AND organization_id = NEW.organization_id
          AND status IN ('cancelled', 'faulted');
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION move_workflow_steps() IS 'Cancels and retries the steps of an execution along with it.';

-- What workers and internal services say while they run something.
CREATE TABLE workflow_execution_logs (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL,
    workflow_execution_id UUID NOT NULL,
    step_name VARCHAR(255),
    level VARCHAR(20) NOT NULL DEFAULT 'info',
    message TEXT NOT NULL,
    line_number BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_workflow_execution_logs PRIMARY KEY (id),
    CONSTRAINT fk_workflow_execution_logs_workflow_executions FOREIGN KEY (organization_id, workflow_execution_id)
        REFERENCES workflow_executions (organization_id, id),
    CONSTRAINT ck_workflow_execution_logs_level CHECK (level IN ('debug', 'info', 'warning', 'error')),
    CONSTRAINT ck_workflow_execution_logs_message CHECK (length(message) <= 10000)
);
CREATE INDEX idx_workflow_execution_logs_org_line
    ON workflow_execution_logs (organization_id, workflow_execution_id, line_number, id);
COMMENT ON TABLE workflow_execution_logs IS 'Lines that were logged while an execution ran; appended, never changed.';
ALTER TABLE workflow_execution_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow_execution_logs FORCE ROW LEVEL SECURITY;
GRANT SELECT ON workflow_execution_logs TO authenticated_users;
CREATE POLICY workflow_execution_logs_select ON workflow_execution_logs FOR SELECT TO authenticated_users
    USING (organization_id = ANY (ARRAY(SELECT permitted_organizations('workflow_executions:read'))));
CREATE POLICY workflow_execution_logs_insert ON workflow_execution_logs FOR INSERT TO authenticated_users
    WITH CHECK (false);
CREATE POLICY workflow_execution_logs_update ON workflow_execution_logs FOR UPDATE TO authenticated_users
    USING (false)
    WITH CHECK (false);
CREATE POLICY workflow_execution_logs_delete ON workflow_execution_logs FOR DELETE TO authenticated_users
    USING (false);

-- What people see of executions and steps: everything but the leases, which let their holder answer for them.
CREATE VIEW workflow_execution_listings WITH (security_invoker = true) AS
SELECT id, organization_id, workflow_id, workflow_version_number, workflow_type, status, input_parameters, output_result,
    error_message, progress, integration_id, triggered_by, started_at, completed_at, cancel_requested_at,
    suspend_requested_at, run_after, attempt, created_at, updated_at, version
FROM workflow_executions;
COMMENT ON VIEW workflow_execution_listings IS 'Executions of workflows without their leases.';
GRANT SELECT, INSERT, UPDATE ON workflow_execution_listings TO authenticated_users;

CREATE VIEW workflow_step_listings WITH (security_invoker = true) AS
SELECT id, organization_id, workflow_execution_id, step_name, status, input_data, output_data, error_message, started_at,
    completed_at, duration_ms, retry_count, run_after, attempt, created_at, updated_at, version
FROM workflow_step_executions;
COMMENT ON VIEW workflow_step_listings IS 'Steps of executions of workflows without their leases.';
GRANT SELECT ON workflow_step_listings TO authenticated_users;

-- Schedules: a run is listed by an id of its own, as everything is.
ALTER TABLE schedule_runs ADD COLUMN id UUID NOT NULL DEFAULT gen_random_uuid();
CREATE INDEX idx_schedules_org_updated ON schedules (organization_id, updated_at, id);
CREATE INDEX idx_schedules_org_name ON schedules (organization_id, name, id);
CREATE INDEX idx_schedules_org_due ON schedules (organization_id, next_run_at, id);

GRANT SELECT ON workflows TO ccb_definer;
-- whichever migration is first
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_policy WHERE polname = 'workflows_definer') THEN
        CREATE POLICY workflows_definer ON workflows FOR SELECT TO ccb_definer USING (true);
    END IF;
END
$$;
GRANT INSERT ON workflow_versions TO ccb_definer;
CREATE POLICY workflow_versions_definer ON workflow_versions FOR INSERT TO ccb_definer WITH CHECK (true);
REVOKE ALL ON FUNCTION keep_definition() FROM PUBLIC;
REVOKE ALL ON FUNCTION pin_workflow_version() FROM PUBLIC;
REVOKE ALL ON FUNCTION workflow_status_change() FROM PUBLIC;
ALTER FUNCTION keep_definition() OWNER TO ccb_definer;
ALTER FUNCTION pin_workflow_version() OWNER TO ccb_definer;
ALTER FUNCTION workflow_status_change() OWNER TO ccb_definer;
-- the owner makes triggers of them
SET LOCAL ROLE ccb_definer;
GRANT EXECUTE ON FUNCTION keep_definition(), pin_workflow_version(), workflow_status_change() TO ccb_owner;
SET LOCAL ROLE ccb_owner;

-- Triggers of one kind fire in the order of their names.
CREATE TRIGGER trigger_workflows_definition BEFORE INSERT OR UPDATE ON workflows
    FOR EACH ROW EXECUTE FUNCTION number_definition();
CREATE TRIGGER trigger_workflows_first_version AFTER INSERT ON workflows
    FOR EACH ROW EXECUTE FUNCTION keep_definition();
CREATE TRIGGER trigger_workflows_next_version AFTER UPDATE ON workflows
    FOR EACH ROW WHEN (OLD.definition_version <> NEW.definition_version) EXECUTE FUNCTION keep_definition();
CREATE TRIGGER trigger_workflow_executions_pin BEFORE INSERT ON workflow_executions
    FOR EACH ROW WHEN (NEW.workflow_id IS NOT NULL AND NEW.workflow_version_number IS NULL)
    EXECUTE FUNCTION pin_workflow_version();
CREATE TRIGGER trigger_workflow_executions_move BEFORE UPDATE OF status ON workflow_executions
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION workflow_status_change();
CREATE TRIGGER trigger_workflow_executions_settle BEFORE UPDATE OF status ON workflow_executions
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION settle_workflow_execution();
CREATE TRIGGER trigger_workflow_executions_steps AFTER UPDATE OF status ON workflow_executions
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION move_workflow_steps();
CREATE TRIGGER trigger_workflow_step_executions_move BEFORE UPDATE OF status ON workflow_step_executions
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION workflow_status_change();
