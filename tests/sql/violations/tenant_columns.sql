-- violation: careless
CREATE TABLE careless (id integer);
-- violation: careless
CREATE TABLE careless (organization_id text NOT NULL);
-- violation: webhooks
ALTER TABLE webhooks ALTER COLUMN organization_id DROP NOT NULL;
