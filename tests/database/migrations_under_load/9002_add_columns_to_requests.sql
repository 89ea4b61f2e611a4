-- What authenticating and counting read, and what triggers write.
ALTER TABLE api_keys ADD COLUMN region VARCHAR(50);
ALTER TABLE users ADD COLUMN region VARCHAR(50);
ALTER TABLE organization_members ADD COLUMN region VARCHAR(50);
ALTER TABLE user_sessions ADD COLUMN region VARCHAR(50);
