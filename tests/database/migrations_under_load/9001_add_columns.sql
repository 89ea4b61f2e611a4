-- What running processes read with `SELECT *` and `RETURNING *` gets another column.
ALTER TABLE integrations ADD COLUMN region VARCHAR(50);
ALTER TABLE organizations ADD COLUMN region VARCHAR(50) DEFAULT 'eu';
ALTER TABLE workflows ADD COLUMN region VARCHAR(50);
