ALTER TABLE integrations ADD CONSTRAINT ck_integrations_region CHECK (region IN ('eu', 'us')) NOT VALID;
