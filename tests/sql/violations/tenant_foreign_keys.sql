-- violation: webhooks.fk_webhooks_integrations
ALTER TABLE webhooks DROP CONSTRAINT fk_webhooks_integrations,
    ADD CONSTRAINT fk_webhooks_integrations FOREIGN KEY (integration_id) REFERENCES integrations (id);
-- violation: webhooks.fk_webhooks_integrations
ALTER TABLE integrations ADD CONSTRAINT uq_integrations_careless UNIQUE (id, organization_id);
ALTER TABLE webhooks DROP CONSTRAINT fk_webhooks_integrations,
    ADD CONSTRAINT fk_webhooks_integrations FOREIGN KEY (organization_id, integration_id)
        REFERENCES integrations (id, organization_id);
-- violation: careless
CREATE TABLE careless (organization_id uuid NOT NULL);
