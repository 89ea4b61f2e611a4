-- Webhooks, their deliveries, and the events behind them.
-- Partitioned tables: the monthly children come from the document; <table>_past and <table>_future take
-- what no month takes, so that no row is ever refused (ruling 21). They are ranges, not DEFAULT
-- partitions, because a default partition forbids DETACH … CONCURRENTLY.

CREATE TABLE webhooks (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL,
    integration_id UUID NOT NULL,
    url VARCHAR(500) NOT NULL,
    events TEXT[] NOT NULL,
    secret TEXT,
    is_active BOOLEAN NOT NULL DEFAULT true,
    last_success_at TIMESTAMP WITH TIME ZONE,
    last_failure_at TIMESTAMP WITH TIME ZONE,
    failure_count INTEGER NOT NULL DEFAULT 0,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    deleted_at TIMESTAMP WITH TIME ZONE,
    version INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT pk_webhooks PRIMARY KEY (id),
    CONSTRAINT uq_webhooks_organization_id_id UNIQUE (organization_id, id),
    CONSTRAINT fk_webhooks_integrations FOREIGN KEY (organization_id, integration_id)
        REFERENCES integrations (organization_id, id),
    -- ruling 17: a secret that is not encrypted does not get in (a Fernet token starts with its version, 0x80)
    CONSTRAINT ck_webhooks_secret CHECK (secret LIKE 'gAAAA%')
);
COMMENT ON COLUMN webhooks.secret IS 'Encrypted with ENCRYPTION_KEYS (Fernet).';
CREATE INDEX idx_webhooks_integration ON webhooks (integration_id);
CREATE INDEX idx_webhooks_active ON webhooks (is_active);
CREATE UNIQUE INDEX idx_webhooks_url_integration ON webhooks (url, integration_id) WHERE deleted_at IS NULL;
CREATE INDEX idx_webhooks_integration_active ON webhooks (integration_id) WHERE is_active = true;
CREATE INDEX idx_webhooks_org_created ON webhooks (organization_id, created_at, id);
CREATE INDEX idx_webhooks_org_integration ON webhooks (organization_id, integration_id, created_at, id);

CREATE TABLE webhook_deliveries (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL,
    webhook_id UUID NOT NULL,
    event_type VARCHAR(100) NOT NULL,
    payload JSONB NOT NULL,
    response_status INTEGER,
    response_headers JSONB,
    response_body TEXT,
    delivery_attempts INTEGER NOT NULL DEFAULT 1,
    delivered_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    version INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT pk_webhook_deliveries PRIMARY KEY (id, created_at),
    CONSTRAINT fk_webhook_deliveries_webhooks FOREIGN KEY (organization_id, webhook_id)
        REFERENCES webhooks (organization_id, id)
) PARTITION BY RANGE (created_at);
CREATE INDEX idx_webhook_deliveries_webhook ON webhook_deliveries (webhook_id);
CREATE INDEX idx_webhook_deliveries_event ON webhook_deliveries (event_type);
CREATE INDEX idx_webhook_deliveries_created_at ON webhook_deliveries USING brin (created_at);
CREATE INDEX idx_webhook_deliveries_status ON webhook_deliveries (response_status);
CREATE INDEX idx_webhook_deliveries_failed ON webhook_deliveries (webhook_id, created_at)
    WHERE response_status >= 400;
CREATE INDEX idx_webhook_deliveries_org_created ON webhook_deliveries (organization_id, created_at, id);
CREATE INDEX idx_webhook_deliveries_org_webhook ON webhook_deliveries (organization_id, webhook_id, created_at, id);

CREATE SEQUENCE events_position_seq AS bigint;

CREATE TABLE events (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID,
    aggregate_type VARCHAR(100) NOT NULL,
    aggregate_id UUID NOT NULL,
    event_type VARCHAR(100) NOT NULL,
    event_data JSONB NOT NULL,
    metadata JSONB NOT NULL DEFAULT '{}',
    version INTEGER NOT NULL,
    created_by UUID,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    position BIGINT NOT NULL DEFAULT nextval('events_position_seq'),
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT pk_events PRIMARY KEY (id, created_at),
    CONSTRAINT fk_events_organizations FOREIGN KEY (organization_id) REFERENCES organizations (id),
    -- deferred: a person's registration is an event by that person, written before the person's row
    CONSTRAINT fk_events_users FOREIGN KEY (created_by) REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED
) PARTITION BY RANGE (created_at);
ALTER SEQUENCE events_position_seq OWNED BY events.position;
COMMENT ON TABLE events IS 'Append-only. (aggregate_id, version) is unique and gap-free: the aggregate''s own row is the guard (ruling 2).';
COMMENT ON COLUMN events.organization_id IS 'NULL only for built-in templates.';
CREATE INDEX idx_events_aggregate ON events (aggregate_type, aggregate_id, version);
CREATE INDEX idx_events_type ON events (event_type);
CREATE INDEX idx_events_created_at ON events USING brin (created_at);
CREATE INDEX idx_events_created_by ON events (created_by);
CREATE INDEX idx_events_org_created ON events (organization_id, created_at, id);
CREATE INDEX idx_events_org_position ON events (organization_id, transaction_id, position);
