-- Credentials become context here. These functions run before a transaction has its role, so the login
-- role may execute them, and nothing else.
--
-- SQLSTATEs of our own: CB001 forbidden transition, CB002 last owner, CB003 limit exceeded, CB006 rank too
-- low, CB007 unknown permission, CB008 row leaves its organization, CB401 bad credential, CB429 over the rate.

CREATE FUNCTION set_context(
    user_id uuid, organization_id uuid, permissions text[], api_key_id uuid, session_id uuid,
    request_id text, ip_address text, user_agent text
) RETURNS void
    LANGUAGE plpgsql -- which keeps its plan; a function in SQL that cannot be inlined is planned at every call
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM set_config('app.current_user_id', coalesce($1::text, ''), true),
        set_config('app.current_organization_id', coalesce($2::text, ''), true),
        set_config('app.current_permissions', coalesce($3::text, ''), true),
        set_config('app.current_api_key_id', coalesce($4::text, ''), true),
        set_config('app.current_session_id', coalesce($5::text, ''), true),
        set_config('app.request_id', coalesce($6, ''), true),
        set_config('app.ip_address', coalesce($7, ''), true),
        set_config('app.user_agent', coalesce($8, ''), true);
END
$$;
COMMENT ON FUNCTION set_context(uuid, uuid, text[], uuid, uuid, text, text, text) IS 'The one place where a transaction learns who is asking.';

CREATE FUNCTION authenticate_api_key(key_hash text, request_id text, ip_address text, user_agent text)
    RETURNS TABLE (user_id uuid, organization_id uuid, api_key_id uuid)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    key record;
BEGIN
    SELECT api_keys.id, api_keys.user_id, api_keys.organization_id, api_keys.permissions, api_keys.expires_at,
        api_keys.is_active AND api_keys.deleted_at IS NULL AS key_lives,
        users.is_active AND users.deleted_at IS NULL AS user_lives
    INTO key
    FROM api_keys JOIN users ON users.id = api_keys.user_id
    WHERE api_keys.key_hash = $1;
    IF NOT FOUND OR NOT key.key_lives OR NOT key.user_lives OR key.expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'the API key is not valid' USING ERRCODE = 'CB401', DETAIL = json_build_object('reason', CASE
            WHEN key.id IS NULL THEN 'unknown' WHEN NOT key.key_lives THEN 'revoked'
            WHEN NOT key.user_lives THEN 'deactivated' ELSE 'expired' END)::text;
    END IF;
    PERFORM set_context(key.user_id, key.organization_id, key.permissions, key.id, NULL, $2, $3, $4);
    RETURN QUERY SELECT key.user_id, key.organization_id, key.id;
END
$$;

CREATE FUNCTION authenticate_session(token_hash text, request_id text, ip_address text, user_agent text)
    RETURNS TABLE (user_id uuid, session_id uuid)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    session record;
BEGIN
    SELECT user_sessions.id, user_sessions.user_id, user_sessions.ended_at IS NULL AS session_lives,
        user_sessions.access_expires_at, users.is_active AND users.deleted_at IS NULL AS user_lives
    INTO session
    FROM user_sessions JOIN users ON users.id = user_sessions.user_id
    WHERE user_sessions.session_token = $1;
    IF NOT FOUND OR NOT session.session_lives OR NOT session.user_lives
        OR session.access_expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'the access token is not valid' USING ERRCODE = 'CB401', DETAIL = json_build_object('reason', CASE
            WHEN session.id IS NULL THEN 'unknown' WHEN NOT session.session_lives THEN 'ended'
            WHEN NOT session.user_lives THEN 'deactivated' ELSE 'expired' END)::text;
    END IF;
    PERFORM set_context(session.user_id, NULL, NULL, NULL, session.id, $2, $3, $4);
    RETURN QUERY SELECT session.user_id, session.id;
END
$$;

-- GCRA (generic cell rate algorithm, ITU-T I.371) over one hour: the whole hour's budget may be used at
-- once and comes back evenly. Nothing is written for a refused request.
CREATE FUNCTION take_request(subject text, requests_an_hour integer)
    RETURNS TABLE (request_limit integer, remaining integer, reset_seconds integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    spacing interval := interval '1 hour' / requests_an_hour;
    arrival timestamptz;
BEGIN
    INSERT INTO rate_limits AS budget (subject, arrival_at) VALUES ($1, moment + spacing)
    ON CONFLICT ON CONSTRAINT pk_rate_limits DO UPDATE SET arrival_at = greatest(budget.arrival_at, moment) + spacing
        WHERE greatest(budget.arrival_at, moment) + spacing <= moment + interval '1 hour'
    RETURNING budget.arrival_at INTO arrival;
    IF arrival IS NULL THEN
        SELECT budget.arrival_at INTO arrival FROM rate_limits AS budget WHERE budget.subject = $1;
        RAISE EXCEPTION 'over the rate limit' USING ERRCODE = 'CB429', DETAIL = json_build_object(
            'limit', requests_an_hour,
            'reset', ceil(extract(epoch FROM arrival - moment)),
            'retry_after', greatest(1, ceil(extract(epoch FROM arrival + spacing - moment - interval '1 hour'))))::text;
    END IF;
    RETURN QUERY SELECT requests_an_hour,
        floor(extract(epoch FROM moment + interval '1 hour' - arrival) / extract(epoch FROM spacing))::integer,
        ceil(extract(epoch FROM arrival - moment))::integer;
END
$$;

-- last_used_at is kept to five minutes, so that most requests do not write the key's row.
CREATE FUNCTION count_api_key_request(key_hash text)
    RETURNS TABLE (request_limit integer, remaining integer, reset_seconds integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    key record;
BEGIN
    SELECT api_keys.id, api_keys.rate_limit, api_keys.last_used_at INTO key FROM api_keys WHERE api_keys.key_hash = $1;
    IF NOT FOUND THEN
        RETURN; -- authentication, which follows, refuses it
    END IF;
    RETURN QUERY SELECT * FROM take_request($1, key.rate_limit);
    IF key.last_used_at IS NULL OR key.last_used_at < clock_timestamp() - interval '5 minutes' THEN
        UPDATE api_keys SET last_used_at = clock_timestamp()
        WHERE api_keys.id = (SELECT locked.id FROM api_keys AS locked WHERE locked.id = key.id FOR NO KEY UPDATE SKIP LOCKED);
    END IF;
END
$$;

CREATE FUNCTION count_session_request(token_hash text, requests_an_hour integer)
    RETURNS TABLE (request_limit integer, remaining integer, reset_seconds integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    session uuid;
BEGIN
    SELECT user_sessions.id INTO session FROM user_sessions WHERE user_sessions.session_token = $1;
    IF FOUND THEN
        RETURN QUERY SELECT * FROM take_request(session::text, requests_an_hour);
    END IF;
END
$$;

CREATE FUNCTION register_user(user_id uuid, email text, name text, password_hash text) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    organization uuid := gen_random_uuid();
BEGIN
    PERFORM set_config('app.current_user_id', $1::text, true);
    INSERT INTO organizations (id, name, slug, personal_user_id)
    VALUES (organization, $3, 'personal-' || replace(organization::text, '-', ''), $1);
    INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, $3, $4);
    INSERT INTO organization_members (organization_id, user_id, role) VALUES (organization, $1, 'owner');
    RETURN organization;
END
$$;
COMMENT ON FUNCTION register_user(uuid, text, text, text) IS 'A person with a personal organization; acts as that person from here on.';

CREATE FUNCTION create_organization(name text, slug text, description text, settings jsonb) RETURNS SETOF organizations
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    organization organizations;
BEGIN
    -- a key that is bound to one organization could not even see another
    IF NOT key_permits('organizations:create') OR current_organization_id() IS NOT NULL THEN
        RAISE EXCEPTION 'organizations may not be created with this credential' USING ERRCODE = '42501';
    END IF;
    INSERT INTO organizations (name, slug, description, settings) VALUES ($1, $2, $3, coalesce($4, '{}'))
    RETURNING * INTO organization;
    INSERT INTO organization_members (organization_id, user_id, role) VALUES (organization.id, current_user_id(), 'owner');
    RETURN NEXT organization;
END
$$;

-- Every attempt counts as a failure until it has succeeded, so that attempts side by side do not all
-- find the door open. From the free attempts on, each further one doubles the wait.
CREATE FUNCTION begin_login(account text, address text, email text)
    RETURNS TABLE (user_id uuid, password_hash text, wait_seconds integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    counted record;
    moment timestamptz := clock_timestamp();
    counts boolean;
BEGIN
    FOR counted IN SELECT * FROM (VALUES ($1, 5), ($2, 20)) AS subjects (subject, free_attempts) LOOP
        counts := NULL;
        INSERT INTO login_throttles AS throttle (subject, failures, updated_at) VALUES (counted.subject, 1, moment)
        ON CONFLICT ON CONSTRAINT pk_login_throttles DO UPDATE SET
            failures = CASE WHEN throttle.updated_at < moment - interval '1 day' THEN 1 ELSE throttle.failures + 1 END,
            updated_at = moment,
            blocked_until = CASE
                WHEN throttle.updated_at >= moment - interval '1 day' AND throttle.failures + 1 >= counted.free_attempts
                THEN moment + least(interval '1 hour',
                    interval '1 second' * 2 ^ least(throttle.failures + 1 - counted.free_attempts, 12))
            END
            -- under the row's lock: of attempts side by side, those behind the one that closes the door find it closed
            WHERE throttle.blocked_until IS NULL OR throttle.blocked_until <= moment
        RETURNING true INTO counts;
        IF counts IS NULL THEN
            RETURN QUERY SELECT NULL::uuid, NULL::text,
                greatest(1, ceil(extract(epoch FROM throttle.blocked_until - moment)))::integer
            FROM login_throttles AS throttle WHERE throttle.subject = counted.subject;
            RETURN;
        END IF;
    END LOOP;
    RETURN QUERY
    SELECT found.id, found.password_hash::text, 0
    FROM (SELECT) AS attempt
    LEFT JOIN users AS found ON lower(found.email) = lower($3) AND found.is_active AND found.deleted_at IS NULL;
END
$$;
COMMENT ON FUNCTION begin_login(text, text, text) IS 'Counts an attempt against the account and the address; gives what the password is compared with, or how long to wait.';

CREATE FUNCTION begin_session(
    user_id uuid, session_id uuid, session_token text, refresh_token text, access_seconds integer, refresh_seconds integer,
    account text, address text
) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM set_config('app.current_user_id', $1::text, true);
    INSERT INTO user_sessions (id, user_id, session_token, refresh_token, ip_address, user_agent, access_expires_at, expires_at)
    VALUES ($2, $1, $3, $4, nullif(current_setting('app.ip_address', true), '')::inet,
        nullif(current_setting('app.user_agent', true), ''),
        clock_timestamp() + interval '1 second' * $5, clock_timestamp() + interval '1 second' * $6);
    UPDATE users SET last_login_at = clock_timestamp() WHERE id = $1;
    -- the account begins anew; the address only takes back this attempt, or one's own login would cover guesses at others
    DELETE FROM login_throttles WHERE subject = $7;
    UPDATE login_throttles SET failures = failures - 1, blocked_until = CASE WHEN failures > 20 THEN blocked_until END
    WHERE subject = $8;
    PERFORM record_audit('session.began', 'session', $2::text,
        (SELECT id FROM organizations WHERE personal_user_id = $1), '{"outcome": "allowed"}');
END
$$;

CREATE FUNCTION record_login_failure(user_id uuid, email_hash text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM record_audit('session.refused', 'session', NULL,
        (SELECT id FROM organizations WHERE personal_user_id = $1),
        jsonb_build_object('outcome', 'refused', 'email_sha256', $2), $1);
END
$$;

-- Rotation. The next tokens are derived from the presented one, so a repetition within the grace gets
-- the same answer; any later use of a token that was replaced ends the session.
CREATE FUNCTION refresh_session(
    session_id uuid, presented text, next_session_token text, next_refresh_token text, access_seconds integer,
    grace_seconds integer
) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    session user_sessions;
BEGIN
    SELECT * INTO session FROM user_sessions WHERE id = $1 FOR UPDATE;
    IF NOT FOUND OR session.ended_at IS NOT NULL OR session.expires_at <= clock_timestamp() OR NOT EXISTS (
        SELECT FROM users WHERE id = session.user_id AND is_active AND deleted_at IS NULL
    ) THEN
        RETURN 'ended';
    END IF;
    PERFORM set_config('app.current_user_id', session.user_id::text, true);
    IF session.refresh_token = $2 THEN
        UPDATE user_sessions SET session_token = $3, refresh_token = $4, previous_refresh_token = $2,
            refreshed_at = clock_timestamp(), access_expires_at = clock_timestamp() + interval '1 second' * $5
        WHERE id = $1;
        RETURN 'rotated';
    END IF;
    IF session.previous_refresh_token = $2
        AND session.refreshed_at > clock_timestamp() - interval '1 second' * $6 THEN
        RETURN 'repeated';
    END IF;
    UPDATE user_sessions SET ended_at = clock_timestamp() WHERE id = $1;
    PERFORM record_audit('session.reuse_detected', 'session', $1::text,
        (SELECT id FROM organizations WHERE personal_user_id = session.user_id), '{"outcome": "refused"}');
    RETURN 'reused';
END
$$;

CREATE FUNCTION find_user(email text) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
    SELECT id FROM users WHERE lower(users.email) = lower($1) AND is_active AND deleted_at IS NULL
$$;

-- Full-text matching is not leakproof, so under row level security it could use no index: the tenant
-- filter is applied here instead.
CREATE FUNCTION search_integrations(query text) RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 100
    SET search_path = public, pg_temp
AS $$
    SELECT id FROM integrations
    WHERE to_tsvector('english', name || ' ' || COALESCE(description, '')) @@ websearch_to_tsquery('english', $1)
      AND organization_id = ANY (ARRAY(SELECT permitted_organizations('integrations:read')))
$$;

REVOKE ALL ON FUNCTION authenticate_api_key(text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authenticate_api_key(text, text, text, text) TO ccb_service;
REVOKE ALL ON FUNCTION authenticate_session(text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authenticate_session(text, text, text, text) TO ccb_service;
REVOKE ALL ON FUNCTION take_request(text, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION count_api_key_request(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION count_api_key_request(text) TO ccb_service;
REVOKE ALL ON FUNCTION count_session_request(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION count_session_request(text, integer) TO ccb_service;
REVOKE ALL ON FUNCTION register_user(uuid, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION register_user(uuid, text, text, text) TO ccb_service;
REVOKE ALL ON FUNCTION create_organization(text, text, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION create_organization(text, text, text, jsonb) TO authenticated_users;
REVOKE ALL ON FUNCTION begin_login(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION begin_login(text, text, text) TO ccb_service;
REVOKE ALL ON FUNCTION begin_session(uuid, uuid, text, text, integer, integer, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION begin_session(uuid, uuid, text, text, integer, integer, text, text) TO ccb_service;
REVOKE ALL ON FUNCTION record_login_failure(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION record_login_failure(uuid, text) TO ccb_service;
REVOKE ALL ON FUNCTION refresh_session(uuid, text, text, text, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION refresh_session(uuid, text, text, text, integer, integer) TO ccb_service;
REVOKE ALL ON FUNCTION find_user(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_user(text) TO authenticated_users;
REVOKE ALL ON FUNCTION search_integrations(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_integrations(text) TO authenticated_users;
REVOKE ALL ON FUNCTION set_context(uuid, uuid, text[], uuid, uuid, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION set_context(uuid, uuid, text[], uuid, uuid, text, text, text) TO ccb_definer, ccb_service, ccb_worker;
-- last, because only an owner grants
ALTER FUNCTION authenticate_api_key(text, text, text, text) OWNER TO ccb_definer;
ALTER FUNCTION authenticate_session(text, text, text, text) OWNER TO ccb_definer;
ALTER FUNCTION take_request(text, integer) OWNER TO ccb_definer;
ALTER FUNCTION count_api_key_request(text) OWNER TO ccb_definer;
ALTER FUNCTION count_session_request(text, integer) OWNER TO ccb_definer;
ALTER FUNCTION register_user(uuid, text, text, text) OWNER TO ccb_definer;
ALTER FUNCTION create_organization(text, text, text, jsonb) OWNER TO ccb_definer;
ALTER FUNCTION begin_login(text, text, text) OWNER TO ccb_definer;
ALTER FUNCTION begin_session(uuid, uuid, text, text, integer, integer, text, text) OWNER TO ccb_definer;
ALTER FUNCTION record_login_failure(uuid, text) OWNER TO ccb_definer;
ALTER FUNCTION refresh_session(uuid, text, text, text, integer, integer) OWNER TO ccb_definer;
ALTER FUNCTION find_user(text) OWNER TO ccb_definer;
ALTER FUNCTION search_integrations(text) OWNER TO ccb_definer;
