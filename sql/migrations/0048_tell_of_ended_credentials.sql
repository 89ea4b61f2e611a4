-- A session that ends is on record, and whoever follows something with it hears of it at once.

CREATE FUNCTION tell_of_ended_session() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM record_audit('session.ended', 'session', NEW.id::text,
        (SELECT id FROM organizations WHERE personal_user_id = NEW.user_id), '{"outcome": "allowed"}');
    PERFORM pg_notify('table_changes', json_build_object(
        'table', TG_TABLE_NAME, 'action', TG_OP, 'id', NEW.id, 'organization', NULL)::text);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION tell_of_ended_session() IS 'Writes the audit row of a session that ended, and wakes the event streams that it opened.';

-- How long a stream may wait before it has to look whether its caller may still read.
CREATE FUNCTION credential_seconds_left() RETURNS double precision
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN extract(epoch FROM coalesce(
        (SELECT expires_at FROM api_keys WHERE id = current_api_key_id()),
        (SELECT access_expires_at FROM user_sessions WHERE id = current_session_id())) - clock_timestamp());
END
$$;
COMMENT ON FUNCTION credential_seconds_left() IS 'Seconds until the credential of this request expires; NULL where it does not.';

-- Who is refused without naming an organization is refused in the one that the key is bound to, if it is.
SET LOCAL ROLE ccb_definer;
CREATE OR REPLACE FUNCTION record_refusal(
    action text, resource_type text, resource_id text, organization_id uuid, named_type text, named_id text, details jsonb
) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    tenant uuid := coalesce($4, (SELECT events.organization_id FROM events
        WHERE aggregate_type = $5 AND aggregate_id = aggregate_uuid($6) LIMIT 1), current_organization_id());
BEGIN
    IF NOT EXISTS (
        SELECT FROM organization_members AS member WHERE member.organization_id = tenant AND member.user_id = current_user_id()
    ) THEN
        tenant := personal_organization_id();
    END IF;
    PERFORM record_audit($1, $2, $3, tenant, $7 || '{"outcome": "refused"}');
END
$$;
SET LOCAL ROLE ccb_owner;

REVOKE ALL ON FUNCTION tell_of_ended_session() FROM PUBLIC;
REVOKE ALL ON FUNCTION credential_seconds_left() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credential_seconds_left() TO authenticated_users;
-- last, because only an owner grants
ALTER FUNCTION credential_seconds_left() OWNER TO ccb_definer;
ALTER FUNCTION tell_of_ended_session() OWNER TO ccb_definer;
SET LOCAL ROLE ccb_definer;
GRANT EXECUTE ON FUNCTION tell_of_ended_session() TO ccb_owner;
SET LOCAL ROLE ccb_owner;

CREATE TRIGGER trigger_user_sessions_ended AFTER UPDATE ON user_sessions
    FOR EACH ROW WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION tell_of_ended_session();
