-- Reads every row, while others read and write them.
ALTER TABLE integrations VALIDATE CONSTRAINT ck_integrations_region;
