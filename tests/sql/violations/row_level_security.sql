-- violation: public.careless
CREATE TABLE careless (id integer);
-- violation: public.webhooks
ALTER TABLE webhooks NO FORCE ROW LEVEL SECURITY;
-- violation: public.events_past
ALTER TABLE events_past DISABLE ROW LEVEL SECURITY;
-- violation: archive.careless
CREATE TABLE archive.careless (id integer);
-- violation: public.schema_migrations
GRANT SELECT ON schema_migrations TO ccb_service;
