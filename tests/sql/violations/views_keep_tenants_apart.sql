-- violation: careless
CREATE VIEW careless AS SELECT * FROM integrations;
-- violation: active_integrations
ALTER VIEW active_integrations RESET (security_invoker);
