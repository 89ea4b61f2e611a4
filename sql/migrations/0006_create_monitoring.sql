-- What was run, who did what, and measurements.

CREATE TABLE integration_executions (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL,
    integration_id UUID NOT NULL,
    trigger_type VARCHAR(50) NOT NULL,
    trigger_data JSONB,
    status VARCHAR(50) NOT NULL DEFAULT 'running',
    result JSONB,
    error_message TEXT,
    duration_ms INTEGER,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    completed_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    version INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT pk_integration_executions PRIMARY KEY (id, started_at),
    CONSTRAINT fk_integration_executions_integrations FOREIGN KEY (organization_id, integration_id)
        REFERENCES integrations (organization_id, id),
    CONSTRAINT ck_integration_executions_trigger_type CHECK (trigger_type IN ('webhook', 'scheduled', 'manual')),
    CONSTRAINT ck_integration_executions_status CHECK (status IN
        ('pending', 'running', 'completed', 'failed', 'cancelled'))
) PARTITION BY RANGE (started_at);
CREATE INDEX idx_executions_integration ON integration_executions (integration_id);
CREATE INDEX idx_executions_status ON integration_executions (status);
CREATE INDEX idx_executions_started_at ON integration_executions USING brin (started_at);
CREATE INDEX idx_executions_trigger ON integration_executions (trigger_type);
CREATE INDEX idx_executions_integration_latest ON integration_executions (integration_id, started_at DESC);
CREATE INDEX idx_executions_org_started ON integration_executions (organization_id, started_at, id);
CREATE INDEX idx_executions_org_integration
    ON integration_executions (organization_id, integration_id, started_at, id);

CREATE TABLE audit_logs (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    user_id UUID,
    organization_id UUID,
    action VARCHAR(100) NOT NULL,
    resource_type VARCHAR(100) NOT NULL,
    resource_id VARCHAR(255),
    details JSONB NOT NULL DEFAULT '{}',
    ip_address INET,
    user_agent TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT pk_audit_logs PRIMARY KEY (id, created_at),
    CONSTRAINT fk_audit_logs_users FOREIGN KEY (user_id) REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT fk_audit_logs_organizations FOREIGN KEY (organization_id) REFERENCES organizations (id)
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE audit_logs IS 'Append-only. organization_id is NULL for what belongs to no tenant, such as a failed login with an unknown address.';
CREATE INDEX idx_audit_logs_user ON audit_logs (user_id);
CREATE INDEX idx_audit_logs_action ON audit_logs (action);
CREATE INDEX idx_audit_logs_resource ON audit_logs (resource_type, resource_id);
CREATE INDEX idx_audit_logs_created_at ON audit_logs USING brin (created_at);
CREATE INDEX idx_audit_logs_org_created ON audit_logs (organization_id, created_at, id);

CREATE TABLE metrics (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    metric_name VARCHAR(100) NOT NULL,
    metric_type VARCHAR(50) NOT NULL,
    value DECIMAL(20,6) NOT NULL,
    labels JSONB NOT NULL DEFAULT '{}',
    integration_id UUID,
    user_id UUID,
    organization_id UUID,
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT pk_metrics PRIMARY KEY (id, recorded_at),
    CONSTRAINT fk_metrics_integrations FOREIGN KEY (organization_id, integration_id)
        REFERENCES integrations (organization_id, id),
    CONSTRAINT fk_metrics_users FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT fk_metrics_organizations FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT ck_metrics_metric_type CHECK (metric_type IN ('counter', 'gauge', 'histogram')),
    -- MATCH SIMPLE would not check an integration without its tenant
    CONSTRAINT ck_metrics_tenant CHECK (integration_id IS NULL OR organization_id IS NOT NULL)
) PARTITION BY RANGE (recorded_at);
CREATE INDEX idx_metrics_name ON metrics (metric_name);
CREATE INDEX idx_metrics_type ON metrics (metric_type);
CREATE INDEX idx_metrics_recorded_at ON metrics USING brin (recorded_at);
CREATE INDEX idx_metrics_integration ON metrics (integration_id);
CREATE INDEX idx_metrics_user ON metrics (user_id);
CREATE INDEX idx_metrics_org_name ON metrics (organization_id, metric_name, recorded_at);
CREATE INDEX idx_metrics_org_integration ON metrics (organization_id, integration_id, recorded_at);

-- The children that the document names.
CREATE TABLE webhook_deliveries_y2025m01 PARTITION OF webhook_deliveries FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
CREATE TABLE webhook_deliveries_y2025m02 PARTITION OF webhook_deliveries FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');
CREATE TABLE events_y2025m01 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
CREATE TABLE events_y2025m02 PARTITION OF events FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');
CREATE TABLE integration_executions_y2025m01 PARTITION OF integration_executions FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
CREATE TABLE integration_executions_y2025m02 PARTITION OF integration_executions FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');
CREATE TABLE audit_logs_y2025m01 PARTITION OF audit_logs FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
CREATE TABLE audit_logs_y2025m02 PARTITION OF audit_logs FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');
CREATE TABLE metrics_y2025m01 PARTITION OF metrics FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
CREATE TABLE metrics_y2025m02 PARTITION OF metrics FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');
