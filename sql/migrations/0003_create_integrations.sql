-- Integrations and what hangs on them. Children carry the tenant and are tied to their parent by a
-- composite key, because foreign keys are checked without row level security (ruling 12).

CREATE TABLE integration_templates (
    id VARCHAR(100) NOT NULL,
    organization_id UUID,
    name VARCHAR(255) NOT NULL,
    description TEXT,
    service_type VARCHAR(100),
    template_data JSONB NOT NULL,
    schema_version VARCHAR(20) NOT NULL DEFAULT '1.0',
    author_id UUID,
    is_public BOOLEAN NOT NULL DEFAULT true,
    usage_count INTEGER NOT NULL DEFAULT 0,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    deleted_at TIMESTAMP WITH TIME ZONE,
    version INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT pk_integration_templates PRIMARY KEY (id),
    CONSTRAINT fk_integration_templates_organizations FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT fk_integration_templates_users FOREIGN KEY (author_id) REFERENCES users (id),
    CONSTRAINT ck_integration_templates_id CHECK (id ~ '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$'),
    CONSTRAINT ck_integration_templates_template_data CHECK (jsonb_typeof(template_data) = 'object'),
    -- a built-in template has neither, an organization's has both
    CONSTRAINT ck_integration_templates_author CHECK ((organization_id IS NULL) = (author_id IS NULL))
);
CREATE INDEX idx_templates_service_type ON integration_templates (service_type);
CREATE INDEX idx_templates_public ON integration_templates (is_public);
CREATE INDEX idx_templates_usage ON integration_templates (usage_count DESC);
CREATE INDEX idx_templates_org_created ON integration_templates (organization_id, created_at, id);
CREATE INDEX idx_templates_author ON integration_templates (author_id);

CREATE TABLE integration_status_transitions (
    from_status VARCHAR(50) NOT NULL,
    to_status VARCHAR(50) NOT NULL,
    CONSTRAINT pk_integration_status_transitions PRIMARY KEY (from_status, to_status)
);
COMMENT ON TABLE integration_status_transitions IS 'The only ways an integration''s status may move (ruling 14).';
INSERT INTO integration_status_transitions (from_status, to_status) VALUES
    ('draft', 'validating'),
    ('validating', 'generating'), ('validating', 'draft'), ('validating', 'failed'),
    ('generating', 'testing'), ('generating', 'draft'), ('generating', 'failed'),
    ('testing', 'reviewing'), ('testing', 'draft'), ('testing', 'failed'),
    ('reviewing', 'deploying'), ('reviewing', 'draft'), ('reviewing', 'failed'),
    ('deploying', 'active'), ('deploying', 'failed'),
    ('active', 'inactive'), ('active', 'failed'), ('active', 'deprecated'),
    ('inactive', 'active'), ('inactive', 'deprecated'),
    ('failed', 'draft'), ('failed', 'validating'), ('failed', 'deprecated');

CREATE TABLE integrations (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    name VARCHAR(255) NOT NULL,
    description TEXT,
    status VARCHAR(50) NOT NULL DEFAULT 'draft',
    service_type VARCHAR(100) NOT NULL,
    version VARCHAR(50) NOT NULL DEFAULT '0.1.0',
    config JSONB NOT NULL DEFAULT '{}',
    capabilities TEXT[] NOT NULL DEFAULT '{}',
    metadata JSONB NOT NULL DEFAULT '{}',
    author_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    template_id VARCHAR(100),
    repository_url VARCHAR(500),
    documentation_url VARCHAR(500),
    health_check_url VARCHAR(500),
    deployed_at TIMESTAMP WITH TIME ZONE,
    last_execution_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    deleted_at TIMESTAMP WITH TIME ZONE,
    version_number INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT pk_integrations PRIMARY KEY (id),
    CONSTRAINT uq_integrations_organization_id_id UNIQUE (organization_id, id),
    CONSTRAINT fk_integrations_users FOREIGN KEY (author_id) REFERENCES users (id),
    CONSTRAINT fk_integrations_organizations FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT fk_integrations_integration_templates FOREIGN KEY (template_id) REFERENCES integration_templates (id),
    CONSTRAINT ck_integrations_status CHECK (status IN ('draft', 'validating', 'generating', 'testing', 'reviewing',
        'deploying', 'active', 'inactive', 'failed', 'deprecated')),
    CONSTRAINT ck_integrations_config CHECK (jsonb_typeof(config) = 'object'),
    CONSTRAINT ck_integrations_metadata CHECK (jsonb_typeof(metadata) = 'object')
);
CREATE INDEX idx_integrations_status ON integrations (status) WHERE deleted_at IS NULL;
CREATE INDEX idx_integrations_service_type ON integrations (service_type);
CREATE INDEX idx_integrations_author ON integrations (author_id);
CREATE INDEX idx_integrations_name ON integrations (name) WHERE deleted_at IS NULL;
-- BRIN: a btree on the time alone makes "the newest of my organizations" walk the whole table
CREATE INDEX idx_integrations_created_at ON integrations USING brin (created_at);
CREATE INDEX idx_integrations_search ON integrations
    USING gin (to_tsvector('english', name || ' ' || COALESCE(description, '')));
CREATE INDEX idx_integrations_org_status ON integrations (organization_id, status) WHERE deleted_at IS NULL;
CREATE INDEX idx_integrations_org_created ON integrations (organization_id, created_at, id);
CREATE INDEX idx_integrations_org_updated ON integrations (organization_id, updated_at, id);
CREATE INDEX idx_integrations_org_name ON integrations (organization_id, name, id);
CREATE INDEX idx_integrations_template ON integrations (template_id);

CREATE TABLE integration_versions (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL,
    integration_id UUID NOT NULL,
    version VARCHAR(50) NOT NULL,
    changelog TEXT,
    config JSONB NOT NULL DEFAULT '{}',
    source_code_url VARCHAR(500),
    created_by UUID NOT NULL,
    is_active BOOLEAN NOT NULL DEFAULT false,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    version_number INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT pk_integration_versions PRIMARY KEY (id),
    CONSTRAINT fk_integration_versions_integrations FOREIGN KEY (organization_id, integration_id)
        REFERENCES integrations (organization_id, id),
    CONSTRAINT fk_integration_versions_users FOREIGN KEY (created_by) REFERENCES users (id),
    CONSTRAINT uq_integration_versions_integration_id_version UNIQUE (integration_id, version),
    CONSTRAINT ck_integration_versions_config CHECK (jsonb_typeof(config) = 'object')
);
CREATE INDEX idx_integration_versions_active ON integration_versions (is_active);
CREATE UNIQUE INDEX uq_integration_versions_one_active ON integration_versions (integration_id) WHERE is_active;
CREATE INDEX idx_integration_versions_org_created
    ON integration_versions (organization_id, integration_id, created_at, id);
CREATE INDEX idx_integration_versions_created_by ON integration_versions (created_by);

CREATE TABLE integration_dependencies (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL,
    integration_id UUID NOT NULL,
    dependency_name VARCHAR(255) NOT NULL,
    dependency_version VARCHAR(100),
    dependency_type VARCHAR(50) NOT NULL DEFAULT 'python',
    is_required BOOLEAN NOT NULL DEFAULT true,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    version INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT pk_integration_dependencies PRIMARY KEY (id),
    CONSTRAINT fk_integration_dependencies_integrations FOREIGN KEY (organization_id, integration_id)
        REFERENCES integrations (organization_id, id),
    CONSTRAINT uq_integration_dependencies_integration_id_dependency_name UNIQUE (integration_id, dependency_name)
);
CREATE INDEX idx_dependencies_type ON integration_dependencies (dependency_type);
CREATE INDEX idx_dependencies_org_created
    ON integration_dependencies (organization_id, integration_id, created_at, id);
