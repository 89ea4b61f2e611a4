-- Workflow definitions, their executions and steps, and schedules.
-- status, run_after, lease_token, lease_expires_at and attempt make a row a queue entry.

CREATE TABLE workflows (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL,
    workflow_type VARCHAR(100) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description TEXT,
    definition JSONB NOT NULL,
    is_active BOOLEAN NOT NULL DEFAULT true,
    version VARCHAR(50) NOT NULL DEFAULT '1.0',
    created_by UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    deleted_at TIMESTAMP WITH TIME ZONE,
    version_number INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT pk_workflows PRIMARY KEY (id),
    CONSTRAINT uq_workflows_organization_id_id UNIQUE (organization_id, id),
    CONSTRAINT fk_workflows_organizations FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT fk_workflows_users FOREIGN KEY (created_by) REFERENCES users (id)
);
CREATE INDEX idx_workflows_type ON workflows (workflow_type);
CREATE INDEX idx_workflows_active ON workflows (is_active);
CREATE INDEX idx_workflows_org_created ON workflows (organization_id, created_at, id);
CREATE INDEX idx_workflows_created_by ON workflows (created_by);

-- An execution keeps the definition it started with, whatever becomes of the workflow.
CREATE TABLE workflow_versions (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL,
    workflow_id UUID NOT NULL,
    version_number INTEGER NOT NULL,
    version VARCHAR(50) NOT NULL,
    definition JSONB NOT NULL,
    created_by UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT pk_workflow_versions PRIMARY KEY (id),
    CONSTRAINT uq_workflow_versions_workflow_id_version_number UNIQUE (workflow_id, version_number),
    CONSTRAINT fk_workflow_versions_workflows FOREIGN KEY (organization_id, workflow_id)
        REFERENCES workflows (organization_id, id),
    CONSTRAINT fk_workflow_versions_users FOREIGN KEY (created_by) REFERENCES users (id)
);
CREATE INDEX idx_workflow_versions_org_created ON workflow_versions (organization_id, workflow_id, created_at, id);
CREATE INDEX idx_workflow_versions_created_by ON workflow_versions (created_by);

CREATE TABLE workflow_executions (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL,
    workflow_id UUID,
    workflow_type VARCHAR(100) NOT NULL,
    status VARCHAR(50) NOT NULL DEFAULT 'pending',
    input_parameters JSONB NOT NULL DEFAULT '{}',
    output_result JSONB,
    error_message TEXT,
    progress INTEGER NOT NULL DEFAULT 0,
    integration_id UUID,
    triggered_by UUID,
    started_at TIMESTAMP WITH TIME ZONE,
    completed_at TIMESTAMP WITH TIME ZONE,
    run_after TIMESTAMP WITH TIME ZONE,
    lease_token UUID,
    lease_expires_at TIMESTAMP WITH TIME ZONE,
    attempt INTEGER NOT NULL DEFAULT 0,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    version INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT pk_workflow_executions PRIMARY KEY (id),
    CONSTRAINT uq_workflow_executions_organization_id_id UNIQUE (organization_id, id),
    CONSTRAINT fk_workflow_executions_organizations FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT fk_workflow_executions_workflows FOREIGN KEY (organization_id, workflow_id)
        REFERENCES workflows (organization_id, id),
    CONSTRAINT fk_workflow_executions_integrations FOREIGN KEY (organization_id, integration_id)
        REFERENCES integrations (organization_id, id),
    CONSTRAINT fk_workflow_executions_users FOREIGN KEY (triggered_by) REFERENCES users (id),
    CONSTRAINT ck_workflow_executions_status CHECK (status IN
        ('pending', 'running', 'waiting', 'suspended', 'cancelled', 'faulted', 'completed')),
    CONSTRAINT ck_workflow_executions_progress CHECK (progress BETWEEN 0 AND 100)
);
CREATE INDEX idx_workflow_executions_status ON workflow_executions (status);
CREATE INDEX idx_workflow_executions_type ON workflow_executions (workflow_type);
CREATE INDEX idx_workflow_executions_integration ON workflow_executions (integration_id);
CREATE INDEX idx_workflow_executions_user ON workflow_executions (triggered_by);
CREATE INDEX idx_workflow_executions_created_at ON workflow_executions USING brin (created_at);
CREATE INDEX idx_workflow_executions_running ON workflow_executions (created_at)
    WHERE status IN ('pending', 'running');
CREATE INDEX idx_workflow_executions_org_created ON workflow_executions (organization_id, created_at, id);
CREATE INDEX idx_workflow_executions_org_workflow
    ON workflow_executions (organization_id, workflow_id, created_at, id);
CREATE INDEX idx_workflow_executions_org_integration
    ON workflow_executions (organization_id, integration_id, created_at, id);

CREATE TABLE workflow_step_executions (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL,
    workflow_execution_id UUID NOT NULL,
    step_name VARCHAR(255) NOT NULL,
    status VARCHAR(50) NOT NULL DEFAULT 'pending',
    input_data JSONB,
    output_data JSONB,
    error_message TEXT,
    started_at TIMESTAMP WITH TIME ZONE,
    completed_at TIMESTAMP WITH TIME ZONE,
    duration_ms INTEGER,
    retry_count INTEGER NOT NULL DEFAULT 0,
    run_after TIMESTAMP WITH TIME ZONE,
    lease_token UUID,
    lease_expires_at TIMESTAMP WITH TIME ZONE,
    attempt INTEGER NOT NULL DEFAULT 0,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    version INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT pk_workflow_step_executions PRIMARY KEY (id),
    CONSTRAINT fk_workflow_step_executions_workflow_executions FOREIGN KEY (organization_id, workflow_execution_id)
        REFERENCES workflow_executions (organization_id, id),
    CONSTRAINT uq_workflow_step_executions_step UNIQUE (workflow_execution_id, step_name),
    CONSTRAINT ck_workflow_step_executions_status CHECK (status IN
        ('pending', 'running', 'waiting', 'suspended', 'cancelled', 'faulted', 'completed'))
);
CREATE INDEX idx_step_executions_status ON workflow_step_executions (status);
CREATE INDEX idx_step_executions_step ON workflow_step_executions (step_name);
CREATE INDEX idx_step_executions_org_created
    ON workflow_step_executions (organization_id, workflow_execution_id, created_at, id);

CREATE TABLE schedules (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL,
    name VARCHAR(255) NOT NULL,
    integration_id UUID,
    workflow_id UUID,
    cron_expression VARCHAR(255) NOT NULL,
    time_zone VARCHAR(100) NOT NULL DEFAULT 'UTC',
    catch_up BOOLEAN NOT NULL DEFAULT false,
    input_parameters JSONB NOT NULL DEFAULT '{}',
    is_active BOOLEAN NOT NULL DEFAULT true,
    next_run_at TIMESTAMP WITH TIME ZONE,
    created_by UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    deleted_at TIMESTAMP WITH TIME ZONE,
    version INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT pk_schedules PRIMARY KEY (id),
    CONSTRAINT uq_schedules_organization_id_id UNIQUE (organization_id, id),
    CONSTRAINT fk_schedules_integrations FOREIGN KEY (organization_id, integration_id)
        REFERENCES integrations (organization_id, id),
    CONSTRAINT fk_schedules_workflows FOREIGN KEY (organization_id, workflow_id)
        REFERENCES workflows (organization_id, id),
    CONSTRAINT fk_schedules_users FOREIGN KEY (created_by) REFERENCES users (id),
    CONSTRAINT ck_schedules_target CHECK (num_nonnulls(integration_id, workflow_id) = 1)
);
CREATE INDEX idx_schedules_org_created ON schedules (organization_id, created_at, id);
CREATE INDEX idx_schedules_org_integration ON schedules (organization_id, integration_id);
CREATE INDEX idx_schedules_org_workflow ON schedules (organization_id, workflow_id);
CREATE INDEX idx_schedules_created_by ON schedules (created_by);
CREATE INDEX idx_schedules_next_run ON schedules (next_run_at) WHERE is_active AND deleted_at IS NULL;

-- One row for each due time: its primary key is what makes a schedule fire once, on however many nodes.
CREATE TABLE schedule_runs (
    schedule_id UUID NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    organization_id UUID NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    execution_id UUID,
    CONSTRAINT pk_schedule_runs PRIMARY KEY (schedule_id, due_at),
    CONSTRAINT fk_schedule_runs_schedules FOREIGN KEY (organization_id, schedule_id)
        REFERENCES schedules (organization_id, id)
);
CREATE INDEX idx_schedule_runs_org ON schedule_runs (organization_id, schedule_id, due_at);
