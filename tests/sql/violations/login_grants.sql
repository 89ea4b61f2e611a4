-- violation: webhooks
GRANT SELECT ON webhooks TO ccb_service;
-- violation: users
GRANT SELECT (email) ON users TO ccb_worker;
-- violation: active_integrations
GRANT SELECT ON active_integrations TO PUBLIC;
-- violation: maintenance_runs
GRANT SELECT ON maintenance_runs TO ccb_service;
-- violation: events_position_seq
GRANT USAGE ON SEQUENCE events_position_seq TO ccb_service;
