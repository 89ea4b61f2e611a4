-- last_used_at is bookkeeping: a key's being used is no news of it. A GET would leave it in its session to be sent behind
-- whatever is changed there next.
DROP TRIGGER trigger_api_keys_notify ON api_keys;
CREATE TRIGGER trigger_api_keys_notify AFTER INSERT OR DELETE ON api_keys
    FOR EACH ROW EXECUTE FUNCTION notify_event();
CREATE TRIGGER trigger_api_keys_notify_update AFTER UPDATE ON api_keys
    FOR EACH ROW WHEN (OLD.version <> NEW.version) EXECUTE FUNCTION notify_event();
