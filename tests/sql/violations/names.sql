-- violation: careless
CREATE TABLE careless (id integer);
-- violation: careless.careless_pkey
CREATE TABLE careless (id integer PRIMARY KEY);
-- violation: webhooks.careless
ALTER TABLE webhooks ADD CONSTRAINT careless CHECK (url <> '');
-- violation: webhooks.webhooks_organization_id_fkey
ALTER TABLE webhooks ADD FOREIGN KEY (organization_id) REFERENCES organizations (id);
-- violation: webhooks.webhooks_url_key
ALTER TABLE webhooks ADD UNIQUE (url);
-- violation: webhooks_secret_idx
CREATE INDEX ON webhooks (secret);
