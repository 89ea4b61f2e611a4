-- violation: events_past
GRANT SELECT ON events_past TO authenticated_users;
-- violation: integration_stats
GRANT SELECT ON integration_stats TO ccb_worker;
-- violation: archive.careless
CREATE TABLE archive.careless (id integer);
GRANT SELECT ON archive.careless TO PUBLIC;
