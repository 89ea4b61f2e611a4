-- Accounts and organizations as people use them: mail and the single-use tokens in it, invitations, closing an account,
-- what only operators may do, and a record of who tried what they may not.

-- ===== Mail. The request that causes a message writes a row here, in its own transaction, and nothing else: whether the
-- address has an account is looked up by whoever sends it, so that no answer and no answer's time tells.

ALTER TABLE user_tokens ADD COLUMN email VARCHAR(255) NOT NULL;
COMMENT ON COLUMN user_tokens.email IS 'The address that the token was mailed to: the one that it proves.';
ALTER TABLE user_tokens DROP CONSTRAINT ck_user_tokens_purpose;
ALTER TABLE user_tokens ADD CONSTRAINT ck_user_tokens_purpose
    CHECK (purpose IN ('verify_email', 'change_email', 'reset_password'));

CREATE TABLE mail_messages (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    kind VARCHAR(50) NOT NULL,
    recipient VARCHAR(255) NOT NULL,
    user_id UUID,
    invitation_id UUID,
    token_hash VARCHAR(64),
    secret BYTEA,
    details JSONB NOT NULL DEFAULT '{}',
    status VARCHAR(50) NOT NULL DEFAULT 'pending',
    run_after TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    lease_token UUID,
    lease_expires_at TIMESTAMP WITH TIME ZONE,
    attempt INTEGER NOT NULL DEFAULT 0,
    error_message TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_mail_messages PRIMARY KEY (id),
    CONSTRAINT fk_mail_messages_users FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT fk_mail_messages_organization_invitations FOREIGN KEY (invitation_id) REFERENCES organization_invitations (id),
    CONSTRAINT ck_mail_messages_kind CHECK (kind IN
        ('verify_email', 'change_email', 'reset_password', 'invitation', 'password_changed', 'email_changed')),
    CONSTRAINT ck_mail_messages_status CHECK (status IN ('pending', 'sent', 'discarded', 'failed')),
    CONSTRAINT ck_mail_messages_subject CHECK (
        kind IN ('verify_email', 'reset_password') OR coalesce(invitation_id, user_id) IS NOT NULL),
    -- what is no longer to be sent holds no secret
    CONSTRAINT ck_mail_messages_secret CHECK (status = 'pending' OR secret IS NULL)
);
COMMENT ON COLUMN mail_messages.secret IS 'The token, encrypted; gone once the message is sent or given up.';
CREATE INDEX idx_mail_messages_due ON mail_messages (run_after) WHERE status = 'pending';
CREATE INDEX idx_mail_messages_user ON mail_messages (user_id);
CREATE INDEX idx_mail_messages_invitation ON mail_messages (invitation_id);
CREATE INDEX idx_mail_messages_ended ON mail_messages (ended_at);
ALTER TABLE mail_messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE mail_messages FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON mail_messages TO ccb_definer;
CREATE POLICY mail_messages_definer ON mail_messages FOR ALL TO ccb_definer USING (true) WITH CHECK (true);
CREATE TRIGGER trigger_mail_messages_notify AFTER INSERT ON mail_messages
    FOR EACH ROW EXECUTE FUNCTION notify_event();

-- ===== Invitations: answered by whoever was invited, made within the inviter's own reach.

ALTER TABLE organization_invitations ADD COLUMN status VARCHAR(50) NOT NULL DEFAULT 'pending';
ALTER TABLE organization_invitations ADD CONSTRAINT ck_organization_invitations_status
    CHECK (status IN ('pending', 'accepted', 'declined') AND (status = 'accepted') = (accepted_at IS NOT NULL));
DROP INDEX uq_organization_invitations_open;
CREATE UNIQUE INDEX uq_organization_invitations_open ON organization_invitations (organization_id, lower(email))
    WHERE status = 'pending' AND deleted_at IS NULL;

-- nobody reads the hash of a token, and nobody invites or adds in another's name
REVOKE ALL ON organization_invitations FROM authenticated_users;
GRANT SELECT (id, organization_id, email, role, permissions, invited_by, expires_at, accepted_at, created_at, updated_at,
    deleted_at, version, status) ON organization_invitations TO authenticated_users;
GRANT INSERT (organization_id, email, role, permissions, token_hash, invited_by, expires_at) ON organization_invitations
    TO authenticated_users;
GRANT UPDATE (token_hash, expires_at, deleted_at) ON organization_invitations TO authenticated_users;
ALTER POLICY organization_invitations_insert ON organization_invitations
    WITH CHECK (
        organization_id = ANY (ARRAY(SELECT permitted_organizations('members:create'))) AND invited_by = current_user_id()
    );
REVOKE INSERT, UPDATE ON organization_members FROM authenticated_users;
GRANT INSERT (organization_id, user_id, role, permissions, invited_by) ON organization_members TO authenticated_users;
GRANT UPDATE (role, permissions) ON organization_members TO authenticated_users;
ALTER POLICY organization_members_insert ON organization_members
    WITH CHECK (
        organization_id = ANY (ARRAY(SELECT permitted_organizations('members:create')))
        AND (invited_by IS NULL OR invited_by = current_user_id())
    );

CREATE VIEW invitation_listings WITH (security_invoker = true) AS
SELECT id, organization_id, email, role, permissions, status,
    status = 'pending' AND expires_at <= CURRENT_TIMESTAMP AS is_expired,
    invited_by, expires_at, accepted_at, created_at, updated_at, deleted_at, version
FROM organization_invitations;
GRANT SELECT ON invitation_listings TO authenticated_users;

-- ===== Of fellow members one sees who they are; their preferences and logins are their own.

CREATE VIEW fellow_profiles WITH (security_barrier = true) AS
SELECT id, name, email, avatar_url, deleted_at FROM users
WHERE id = current_user_id() OR id = ANY (ARRAY(SELECT fellow_members()));
GRANT SELECT ON fellow_profiles TO authenticated_users;
ALTER VIEW fellow_profiles OWNER TO ccb_definer;
ALTER POLICY users_select ON users USING (id = current_user_id());

DROP VIEW member_profiles;
CREATE VIEW member_profiles WITH (security_invoker = true) AS
SELECT member.*, person.name, person.email, person.avatar_url
FROM organization_members AS member
LEFT JOIN fellow_profiles AS person ON person.id = member.user_id;

DROP VIEW active_integrations;
CREATE VIEW active_integrations WITH (security_invoker = true) AS
SELECT
    i.*,
    u.name AS author_name,
    u.email AS author_email,
    o.name AS organization_name,
    o.plan AS organization_plan,
    COALESCE(ie_stats.total_executions, 0) AS execution_count,
    COALESCE(ie_stats.success_rate, 0) AS success_rate
FROM integrations AS i
LEFT JOIN fellow_profiles AS u ON i.author_id = u.id
LEFT JOIN organizations AS o ON i.organization_id = o.id
LEFT JOIN (
    SELECT
        integration_id,
        COUNT(*) AS total_executions,
        ROUND(COUNT(*) FILTER (WHERE status = 'completed')::numeric / COUNT(*) * 100, 2) AS success_rate
    FROM integration_executions
    WHERE started_at > CURRENT_DATE - INTERVAL '7 days'
    GROUP BY integration_id
) AS ie_stats ON i.id = ie_stats.integration_id
WHERE i.status = 'active'
  AND i.deleted_at IS NULL
  AND u.deleted_at IS NULL;
GRANT SELECT ON member_profiles, active_integrations TO authenticated_users;

-- ===== Operators: permissions that no role has and no organization gives.

CREATE TABLE user_permissions (
    user_id UUID NOT NULL,
    permission VARCHAR(100) NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT pk_user_permissions PRIMARY KEY (user_id, permission),
    CONSTRAINT fk_user_permissions_users FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT fk_user_permissions_permissions FOREIGN KEY (permission) REFERENCES permissions (name),
    CONSTRAINT ck_user_permissions_permission CHECK (permission LIKE 'operations:%')
);
CREATE INDEX idx_user_permissions_permission ON user_permissions (permission);
ALTER TABLE user_permissions ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_permissions FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, DELETE ON user_permissions TO ccb_definer;
CREATE POLICY user_permissions_definer ON user_permissions FOR ALL TO ccb_definer USING (true) WITH CHECK (true);

INSERT INTO permissions (resource, action, name, description)
VALUES ('invitations', 'answer', 'invitations:answer', 'Accept and decline invitations that were sent to oneself');

GRANT SELECT ON maintenance_runs TO ccb_definer;
CREATE POLICY maintenance_runs_definer ON maintenance_runs FOR SELECT TO ccb_definer USING (true);
-- from here on functions, which belong to the definer from the start; PUBLIC may execute none of them
SET LOCAL ROLE ccb_definer;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE FUNCTION operator_permits(permission text) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM user_permissions AS given WHERE given.user_id = current_user_id() AND given.permission = $1)
        AND (current_permissions() IS NULL OR $1 = ANY (current_permissions()))
        AND current_organization_id() IS NULL;
END
$$;
COMMENT ON FUNCTION operator_permits(text) IS
    'Whether the caller is an operator with this permission. An API key has to name it: no wildcard stands for it, and a key that is bound to one organization reaches no further.';
GRANT EXECUTE ON FUNCTION operator_permits(text) TO authenticated_users;

CREATE FUNCTION set_operator_permission(email text, permission text, given boolean) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    person uuid := find_user($1);
BEGIN
    IF person IS NULL THEN
        RETURN NULL;
    END IF;
    IF given THEN
        INSERT INTO user_permissions (user_id, permission) VALUES (person, $2) ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM user_permissions WHERE user_id = person AND user_permissions.permission = $2;
    END IF;
    PERFORM record_audit(CASE WHEN given THEN 'user.permitted' ELSE 'user.forbidden' END, 'user', person::text,
        (SELECT id FROM organizations WHERE personal_user_id = person),
        jsonb_build_object('outcome', 'allowed', 'permission', $2));
    RETURN person;
END
$$;
COMMENT ON FUNCTION set_operator_permission(text, text, boolean) IS 'Called from the command line; NULL where there is no such account.';
GRANT EXECUTE ON FUNCTION set_operator_permission(text, text, boolean) TO ccb_owner;

CREATE FUNCTION end_sessions(user_id uuid, kept_session_id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    UPDATE user_sessions SET ended_at = clock_timestamp()
    WHERE user_sessions.user_id = $1 AND ended_at IS NULL AND id IS DISTINCT FROM $2;
END
$$;

CREATE FUNCTION set_user_active(email text, active boolean) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    person uuid;
BEGIN
    UPDATE users SET is_active = $2 WHERE lower(users.email) = lower($1) AND deleted_at IS NULL RETURNING id INTO person;
    IF person IS NOT NULL AND NOT $2 THEN
        PERFORM end_sessions(person, NULL);
    END IF;
    RETURN person;
END
$$;
COMMENT ON FUNCTION set_user_active(text, boolean) IS
    'Called from the command line. Sessions end, API keys rest until the account is active again; memberships stay.';
GRANT EXECUTE ON FUNCTION set_user_active(text, boolean) TO ccb_owner;

-- ===== Throttling, of whatever could be tried again and again: from the free attempts on, each further one doubles the
-- wait. An attempt counts as a failure until it has succeeded, so that attempts side by side do not all find the door open.
CREATE FUNCTION count_attempt(subject text, free_attempts integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    counts boolean;
BEGIN
    INSERT INTO login_throttles AS throttle (subject, failures, updated_at) VALUES ($1, 1, moment)
    ON CONFLICT ON CONSTRAINT pk_login_throttles DO UPDATE SET
        failures = CASE WHEN throttle.updated_at < moment - interval '1 day' THEN 1 ELSE throttle.failures + 1 END,
        updated_at = moment,
        blocked_until = CASE
            WHEN throttle.updated_at >= moment - interval '1 day' AND throttle.failures + 1 >= free_attempts
            THEN moment + least(interval '1 hour', interval '1 second' * 2 ^ least(throttle.failures + 1 - free_attempts, 12))
        END
        -- under the row's lock: of attempts side by side, those behind the one that closes the door find it closed
        WHERE throttle.blocked_until IS NULL OR throttle.blocked_until <= moment
    RETURNING true INTO counts;
    IF counts THEN
        RETURN 0;
    END IF;
    RETURN coalesce((SELECT greatest(1, ceil(extract(epoch FROM throttle.blocked_until - moment)))::integer
        FROM login_throttles AS throttle WHERE throttle.subject = $1), 1);
END
$$;
COMMENT ON FUNCTION count_attempt(text, integer) IS 'Counts an attempt of a subject; gives the seconds to wait, 0 where it may go ahead.';

-- Whoever succeeded takes back this attempt; what others tried from there stays counted.
CREATE FUNCTION take_back_attempt(subject text, free_attempts integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    UPDATE login_throttles SET failures = greatest(failures - 1, 0),
        blocked_until = CASE WHEN failures > free_attempts THEN blocked_until END
    WHERE login_throttles.subject = $1;
END
$$;

CREATE OR REPLACE FUNCTION begin_login(account text, address text, email text)
    RETURNS TABLE (user_id uuid, password_hash text, wait_seconds integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    seconds integer := count_attempt($1, 5);
BEGIN
    IF seconds = 0 THEN
        seconds := count_attempt($2, 20);
    END IF;
    IF seconds > 0 THEN
        RETURN QUERY SELECT NULL::uuid, NULL::text, seconds;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT found.id, found.password_hash::text, 0
    FROM (SELECT) AS attempt
    LEFT JOIN users AS found ON lower(found.email) = lower($3) AND found.is_active AND found.deleted_at IS NULL;
END
$$;

-- ===== Mail that is asked for, sent and put away.

CREATE FUNCTION request_mail(kind text, email text, token_hash text, secret bytea, account text, address text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    seconds integer := count_attempt($5, 5);
BEGIN
    IF seconds = 0 THEN
        seconds := count_attempt($6, 50);
    END IF;
    IF seconds = 0 THEN
        INSERT INTO mail_messages (kind, recipient, token_hash, secret) VALUES ($1, $2, $3, $4);
        PERFORM record_audit('user.' || $1 || '_requested', 'user', NULL, NULL,
            jsonb_build_object('outcome', 'allowed', 'email_sha256', $5));
    END IF;
    RETURN seconds;
END
$$;
COMMENT ON FUNCTION request_mail(text, text, text, bytea, text, text) IS
    'Queues a mail to an address that may have an account: the same work for every address. Gives the seconds to wait instead.';
GRANT EXECUTE ON FUNCTION request_mail(text, text, text, bytea, text, text) TO ccb_service;

CREATE FUNCTION queue_verification(email text, token_hash text, secret bytea) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    INSERT INTO mail_messages (kind, recipient, user_id, token_hash, secret)
    VALUES ('verify_email', $1, current_user_id(), $2, $3);
END
$$;
COMMENT ON FUNCTION queue_verification(text, text, bytea) IS 'Follows register_user() in its transaction.';
GRANT EXECUTE ON FUNCTION queue_verification(text, text, bytea) TO ccb_service;

CREATE FUNCTION queue_invitation(invitation_id uuid, secret bytea) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    seconds integer := (
        SELECT count_attempt(encode(sha256(convert_to('invitation ' || lower(email), 'UTF8')), 'hex'), 20)
        FROM organization_invitations WHERE id = $1);
BEGIN
    IF seconds = 0 THEN
        INSERT INTO mail_messages (kind, recipient, invitation_id, token_hash, secret, details)
        SELECT 'invitation', invitation.email, invitation.id, invitation.token_hash, $2, jsonb_build_object(
            'organization', organization.name, 'inviter', inviter.name, 'role', invitation.role,
            'expires_at', invitation.expires_at)
        FROM organization_invitations AS invitation
        JOIN organizations AS organization ON organization.id = invitation.organization_id
        JOIN users AS inviter ON inviter.id = current_user_id()
        WHERE invitation.id = $1 AND invitation.organization_id = ANY (ARRAY(
            SELECT permitted_organizations('members:create') UNION SELECT permitted_organizations('members:update')));
    END IF;
    RETURN seconds;
END
$$;
COMMENT ON FUNCTION queue_invitation(uuid, bytea) IS 'Queues the mail of an invitation that was made or renewed; gives the seconds to wait instead.';
GRANT EXECUTE ON FUNCTION queue_invitation(uuid, bytea) TO authenticated_users;

-- A token begins to count when its mail goes out, so that an SMTP server that was away leaves nobody with a stale one.
-- Mail that invites waits behind mail about accounts: who invites a thousand people keeps nobody from a new password.
CREATE FUNCTION claim_mail(batch integer, lease_seconds integer) RETURNS SETOF mail_messages
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    message mail_messages;
    holder users;
    looked_at integer;
    claimed integer := 0;
BEGIN
    LOOP -- until there is something to send, or nothing more to look at
        looked_at := 0;
        FOR message IN
            SELECT * FROM mail_messages
            WHERE status = 'pending' AND run_after <= clock_timestamp()
              AND (lease_expires_at IS NULL OR lease_expires_at <= clock_timestamp())
            ORDER BY kind = 'invitation', run_after LIMIT batch
            FOR UPDATE SKIP LOCKED
        LOOP
            looked_at := looked_at + 1;
            SELECT * INTO holder FROM users
            WHERE is_active AND deleted_at IS NULL AND id = CASE
                WHEN message.kind IN ('reset_password', 'verify_email') THEN find_user(message.recipient)
                WHEN message.kind = 'invitation' THEN (
                    SELECT invited_by FROM organization_invitations AS invitation
                    WHERE invitation.id = message.invitation_id AND invitation.token_hash = message.token_hash
                      AND invitation.status = 'pending' AND invitation.deleted_at IS NULL
                      AND invitation.expires_at > clock_timestamp())
                ELSE message.user_id END
              AND CASE message.kind
                WHEN 'verify_email' THEN email_verified_at IS NULL
                WHEN 'change_email' THEN find_user(message.recipient) IS NULL
                ELSE true END;
            IF NOT FOUND THEN
                UPDATE mail_messages SET status = 'discarded', secret = NULL, ended_at = clock_timestamp() WHERE id = message.id;
                CONTINUE;
            END IF;
            IF message.kind IN ('reset_password', 'verify_email', 'change_email') THEN
                INSERT INTO user_tokens (token_hash, user_id, purpose, email, expires_at)
                VALUES (message.token_hash, holder.id, message.kind,
                    CASE message.kind WHEN 'change_email' THEN message.recipient ELSE holder.email END,
                    clock_timestamp() + CASE message.kind WHEN 'reset_password' THEN interval '1 hour' ELSE interval '1 day' END)
                ON CONFLICT ON CONSTRAINT pk_user_tokens DO UPDATE SET expires_at = EXCLUDED.expires_at;
            END IF;
            claimed := claimed + 1;
            RETURN QUERY
            UPDATE mail_messages SET
                -- the address as its owner wrote it: another that reads the same in lower case may be somebody else's
                recipient = CASE WHEN kind IN ('reset_password', 'verify_email') THEN holder.email ELSE recipient END,
                lease_token = gen_random_uuid(), lease_expires_at = clock_timestamp() + make_interval(secs => lease_seconds),
                attempt = attempt + 1
            WHERE id = message.id
            RETURNING *;
        END LOOP;
        EXIT WHEN claimed > 0 OR looked_at < batch;
    END LOOP;
END
$$;
COMMENT ON FUNCTION claim_mail(integer, integer) IS 'Messages to send now, each with a new lease; those that concern nobody are put away.';
GRANT EXECUTE ON FUNCTION claim_mail(integer, integer) TO ccb_worker;

CREATE FUNCTION settle_mail(message_id uuid, lease_token uuid, status text, error_message text, pause_seconds integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    UPDATE mail_messages AS message SET
        status = $3, error_message = $4, lease_token = NULL, lease_expires_at = NULL,
        run_after = clock_timestamp() + make_interval(secs => $5),
        secret = CASE WHEN $3 = 'pending' THEN message.secret END,
        ended_at = CASE WHEN $3 <> 'pending' THEN clock_timestamp() END
    WHERE message.id = $1 AND message.lease_token = $2 AND message.status = 'pending';
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION settle_mail(uuid, uuid, text, text, integer) IS 'What became of a claimed message; false for a lease that somebody else has by now.';
GRANT EXECUTE ON FUNCTION settle_mail(uuid, uuid, text, text, integer) TO ccb_worker;

CREATE FUNCTION cleanup_mail(keep interval DEFAULT '7 days') RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    DELETE FROM mail_messages WHERE ended_at < clock_timestamp() - keep;
END
$$;
GRANT EXECUTE ON FUNCTION cleanup_mail(interval) TO ccb_worker;

-- ===== Addresses and passwords.

CREATE FUNCTION confirm_email(token_hash text, address text) RETURNS TABLE (is_confirmed boolean, wait_seconds integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    seconds integer := count_attempt($2, 50);
    token record;
BEGIN
    IF seconds > 0 THEN
        RETURN QUERY SELECT false, seconds;
        RETURN;
    END IF;
    SELECT user_tokens.user_id, user_tokens.purpose, user_tokens.email, users.email AS present_email INTO token
    FROM user_tokens JOIN users ON users.id = user_tokens.user_id
    WHERE user_tokens.token_hash = $1 AND purpose IN ('verify_email', 'change_email')
      AND used_at IS NULL AND expires_at > clock_timestamp() AND users.is_active AND users.deleted_at IS NULL
      AND (purpose = 'change_email' OR lower(users.email) = lower(user_tokens.email))
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT false, 0;
        RETURN;
    END IF;
    PERFORM set_config('app.current_user_id', token.user_id::text, true), take_back_attempt($2, 50);
    IF token.purpose = 'change_email' THEN
        -- whatever was mailed to the old address holds no longer
        UPDATE user_tokens SET used_at = clock_timestamp() WHERE user_tokens.user_id = token.user_id AND used_at IS NULL;
        INSERT INTO mail_messages (kind, recipient, user_id, details)
        VALUES ('email_changed', token.present_email, token.user_id, jsonb_build_object('email', token.email));
    ELSE
        UPDATE user_tokens SET used_at = clock_timestamp() WHERE user_tokens.token_hash = $1;
    END IF;
    UPDATE users SET email = token.email, email_verified_at = clock_timestamp() WHERE id = token.user_id;
    RETURN QUERY SELECT true, 0;
END
$$;
COMMENT ON FUNCTION confirm_email(text, text) IS 'An address is its owner''s: the present one, or the new one that takes its place.';
GRANT EXECUTE ON FUNCTION confirm_email(text, text) TO ccb_service;

CREATE FUNCTION begin_password_reset(token_hash text, address text) RETURNS TABLE (is_valid boolean, wait_seconds integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    seconds integer := count_attempt($2, 50);
BEGIN
    RETURN QUERY SELECT seconds = 0 AND EXISTS (
        SELECT FROM user_tokens WHERE user_tokens.token_hash = $1 AND purpose = 'reset_password'
          AND used_at IS NULL AND expires_at > clock_timestamp()), seconds;
END
$$;
COMMENT ON FUNCTION begin_password_reset(text, text) IS 'Whether it is worth while to hash a password for this token.';
GRANT EXECUTE ON FUNCTION begin_password_reset(text, text) TO ccb_service;

CREATE FUNCTION reset_password(token_hash text, password_hash text, address text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    person users;
BEGIN
    SELECT users.* INTO person FROM user_tokens JOIN users ON users.id = user_tokens.user_id
    WHERE user_tokens.token_hash = $1 AND purpose = 'reset_password' AND used_at IS NULL AND expires_at > clock_timestamp()
      AND users.is_active AND users.deleted_at IS NULL AND lower(users.email) = lower(user_tokens.email)
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM set_config('app.current_user_id', person.id::text, true), take_back_attempt($3, 50), end_sessions(person.id, NULL);
    UPDATE user_tokens SET used_at = clock_timestamp()
    WHERE user_id = person.id AND purpose = 'reset_password' AND used_at IS NULL;
    -- who read the mail has shown the address to be theirs, and need not wait for guesses at the old password
    UPDATE users SET password_hash = $2, email_verified_at = coalesce(email_verified_at, clock_timestamp()) WHERE id = person.id;
    DELETE FROM login_throttles WHERE subject = encode(sha256(convert_to('account ' || lower(person.email), 'UTF8')), 'hex');
    INSERT INTO mail_messages (kind, recipient, user_id) VALUES ('password_changed', person.email, person.id);
    RETURN true;
END
$$;
COMMENT ON FUNCTION reset_password(text, text, text) IS 'Uses a token up; every session ends.';
GRANT EXECUTE ON FUNCTION reset_password(text, text, text) TO ccb_service;

-- What only the person may do and not a key of theirs, whatever its permissions, asks for the password once more.
CREATE FUNCTION begin_password_check() RETURNS TABLE (password_hash text, wait_seconds integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    seconds integer;
BEGIN
    IF current_session_id() IS NULL THEN
        RAISE EXCEPTION 'an API key may not do this; sign in' USING ERRCODE = 'CB403';
    END IF;
    seconds := count_attempt('password ' || current_user_id(), 5);
    RETURN QUERY SELECT users.password_hash::text, seconds FROM users WHERE id = current_user_id();
END
$$;
COMMENT ON FUNCTION begin_password_check() IS 'Counts an attempt; gives what the password is compared with, or how long to wait.';
GRANT EXECUTE ON FUNCTION begin_password_check() TO authenticated_users;

CREATE FUNCTION record_password_failure() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM record_audit('user.password_refused', 'user', current_user_id()::text, personal_organization_id(),
        '{"outcome": "refused"}');
END
$$;
GRANT EXECUTE ON FUNCTION record_password_failure() TO authenticated_users;

-- Both take the hash that the password was compared with: of two at the same moment the second finds another.
CREATE FUNCTION change_password(known_hash text, new_hash text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    person users;
BEGIN
    UPDATE users SET password_hash = $2 WHERE id = current_user_id() AND password_hash = $1 RETURNING * INTO person;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM end_sessions(person.id, current_session_id());
    UPDATE user_tokens SET used_at = clock_timestamp()
    WHERE user_id = person.id AND purpose = 'reset_password' AND used_at IS NULL;
    DELETE FROM login_throttles WHERE subject = 'password ' || person.id;
    INSERT INTO mail_messages (kind, recipient, user_id) VALUES ('password_changed', person.email, person.id);
    RETURN true;
END
$$;
COMMENT ON FUNCTION change_password(text, text) IS 'Every other session of the caller ends.';
GRANT EXECUTE ON FUNCTION change_password(text, text) TO authenticated_users;

CREATE FUNCTION request_email_change(known_hash text, email text, token_hash text, secret bytea, account text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    seconds integer := count_attempt($5, 5);
BEGIN
    IF seconds = 0 THEN
        INSERT INTO mail_messages (kind, recipient, user_id, token_hash, secret)
        SELECT 'change_email', $2, id, $3, $4 FROM users WHERE id = current_user_id() AND password_hash = $1;
        DELETE FROM login_throttles WHERE subject = 'password ' || current_user_id();
        PERFORM record_audit('user.change_email_requested', 'user', current_user_id()::text, personal_organization_id(),
            '{"outcome": "allowed"}');
    END IF;
    RETURN seconds;
END
$$;
COMMENT ON FUNCTION request_email_change(text, text, text, bytea, text) IS 'Queues a mail to the new address; gives the seconds to wait instead.';
GRANT EXECUTE ON FUNCTION request_email_change(text, text, text, bytea, text) TO authenticated_users;

-- ===== Who belongs where.

CREATE FUNCTION member_permits(organization_id uuid, user_id uuid, permission text) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM organization_members AS member
        WHERE member.organization_id = $1 AND member.user_id = $2 AND (member.permissions ? $3 OR EXISTS (
            SELECT FROM permissions AS known
            JOIN role_permissions AS given ON given.permission_id = known.id
            WHERE known.name = $3 AND given.role = member.role)));
END
$$;
COMMENT ON FUNCTION member_permits(uuid, uuid, text) IS 'Whether a member other than the caller holds a permission; permitted_organizations() asks for the caller.';

-- Ruling 13, and: nobody hands out, changes or removes a rank above their own, nor a permission they lack. Whoever joins
-- by an invitation is added by the inviter, whose reach counts.
CREATE OR REPLACE FUNCTION guard_membership() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    tenant uuid := CASE WHEN TG_OP = 'DELETE' THEN OLD.organization_id ELSE NEW.organization_id END;
    actor uuid := current_user_id();
    actor_rank integer;
    touched_rank integer;
    lacking text[];
BEGIN
    -- two owners who leave at the same moment must not both find the other still there
    PERFORM FROM organizations WHERE id = tenant FOR NO KEY UPDATE;
    IF TG_OP = 'INSERT' AND NOT EXISTS (SELECT FROM organization_members WHERE organization_id = tenant) THEN
        RETURN NEW; -- the first owner
    END IF;
    IF TG_OP = 'INSERT' AND NEW.user_id = actor THEN
        actor := coalesce(NEW.invited_by, actor);
    END IF;

    actor_rank := (SELECT role_rank(role) FROM organization_members WHERE organization_id = tenant AND user_id = actor);
    touched_rank := greatest(
        CASE WHEN TG_OP <> 'INSERT' THEN role_rank(OLD.role) END,
        CASE WHEN TG_OP <> 'DELETE' THEN role_rank(NEW.role) END);
    IF actor IS NOT NULL AND coalesce(actor_rank, 0) < touched_rank THEN
        RAISE EXCEPTION 'this needs a higher role' USING ERRCODE = 'CB006';
    END IF;

    IF TG_OP <> 'DELETE' AND actor IS NOT NULL THEN
        SELECT array_agg(wanted) INTO lacking FROM jsonb_array_elements_text(NEW.permissions) AS wanted
        WHERE (TG_OP = 'INSERT' OR NOT OLD.permissions ? wanted)
          AND NOT CASE WHEN actor = current_user_id() THEN tenant = ANY (ARRAY(SELECT permitted_organizations(wanted)))
              ELSE member_permits(tenant, actor, wanted) END;
        IF lacking IS NOT NULL THEN
            RAISE EXCEPTION 'nobody gives what they do not have: %', array_to_string(lacking, ', ')
                USING ERRCODE = 'CB006';
        END IF;
    END IF;

    IF TG_OP <> 'INSERT' AND OLD.role = 'owner' AND (TG_OP = 'DELETE' OR NEW.role <> 'owner') THEN
        IF NOT EXISTS (
            SELECT FROM organization_members
            WHERE organization_id = tenant AND role = 'owner' AND user_id <> OLD.user_id
        ) THEN
            RAISE EXCEPTION 'an organization keeps at least one owner' USING ERRCODE = 'CB002';
        END IF;
        IF EXISTS (SELECT FROM organizations WHERE id = tenant AND personal_user_id = OLD.user_id) THEN
            RAISE EXCEPTION 'a personal organization keeps its owner' USING ERRCODE = 'CB002';
        END IF;
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END
$$;

CREATE FUNCTION guard_invitation() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    lacking text[];
BEGIN
    IF current_user_id() IS NULL THEN
        RETURN NEW;
    END IF;
    IF NOT EXISTS (
        SELECT FROM organization_members
        WHERE organization_id = NEW.organization_id AND user_id = current_user_id() AND role_rank(role) >= role_rank(NEW.role)
    ) THEN
        RAISE EXCEPTION 'this needs a higher role' USING ERRCODE = 'CB006';
    END IF;
    SELECT array_agg(wanted) INTO lacking FROM jsonb_array_elements_text(NEW.permissions) AS wanted
    WHERE NOT NEW.organization_id = ANY (ARRAY(SELECT permitted_organizations(wanted)));
    IF lacking IS NOT NULL THEN
        RAISE EXCEPTION 'nobody gives what they do not have: %', array_to_string(lacking, ', ') USING ERRCODE = 'CB006';
    END IF;
    IF EXISTS (
        SELECT FROM organization_members WHERE organization_id = NEW.organization_id AND user_id = find_user(NEW.email)
    ) THEN
        RAISE EXCEPTION 'a member already' USING ERRCODE = 'unique_violation',
            CONSTRAINT = 'uq_organization_members_organization_id_user_id';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION guard_invitation() IS 'As guard_membership(): nobody invites above their own rank, nor gives a permission they lack.';
GRANT EXECUTE ON FUNCTION guard_invitation() TO ccb_owner;

CREATE FUNCTION answer_invitation(token_hash text, answer text) RETURNS TABLE (outcome text, organization_id uuid, invitation_id uuid)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    invitation organization_invitations;
    tenant uuid;
BEGIN
    IF NOT key_permits('invitations:answer') THEN
        RAISE EXCEPTION 'not with this credential' USING ERRCODE = '42501';
    END IF;
    IF current_organization_id() IS NOT NULL THEN
        RAISE EXCEPTION 'a key that is bound to one organization joins no other' USING ERRCODE = 'CB403';
    END IF;
    SELECT found.* INTO invitation FROM organization_invitations AS found
    JOIN organizations ON organizations.id = found.organization_id
    WHERE found.token_hash = $1 AND found.deleted_at IS NULL AND organizations.deleted_at IS NULL
    FOR UPDATE OF found;
    tenant := invitation.organization_id;
    outcome := CASE
        WHEN invitation.id IS NULL THEN 'unknown'
        WHEN lower(invitation.email) <> (SELECT lower(email) FROM users WHERE id = current_user_id()) THEN 'of another'
        WHEN invitation.status <> 'pending' THEN 'answered'
        WHEN invitation.expires_at <= clock_timestamp() THEN 'expired'
        WHEN $2 = 'declined' THEN 'declined'
        -- the inviter's word holds for as long as they could still add a member like this one
        WHEN NOT member_permits(tenant, invitation.invited_by, 'members:create')
            OR (SELECT role_rank(role) FROM organization_members AS member
                WHERE member.organization_id = tenant AND member.user_id = invitation.invited_by) < role_rank(invitation.role)
            OR EXISTS (SELECT FROM jsonb_array_elements_text(invitation.permissions) AS wanted
                WHERE NOT member_permits(tenant, invitation.invited_by, wanted)) THEN 'void'
        ELSE 'accepted' END;
    IF outcome = 'accepted' THEN
        INSERT INTO organization_members (organization_id, user_id, role, permissions, invited_by)
        VALUES (tenant, current_user_id(), invitation.role, invitation.permissions, invitation.invited_by);
        -- the token came by mail: the address is theirs
        UPDATE users SET email_verified_at = clock_timestamp() WHERE id = current_user_id() AND email_verified_at IS NULL;
    END IF;
    IF outcome IN ('accepted', 'declined') THEN
        UPDATE organization_invitations SET status = outcome,
            accepted_at = CASE WHEN outcome = 'accepted' THEN clock_timestamp() END
        WHERE id = invitation.id;
    END IF;
    RETURN QUERY SELECT outcome, tenant, invitation.id;
END
$$;
COMMENT ON FUNCTION answer_invitation(text, text) IS
    'The caller takes up or declines what was mailed to their address. Gives accepted, declined, or why not: unknown, of another, answered, expired, void.';
GRANT EXECUTE ON FUNCTION answer_invitation(text, text) TO authenticated_users;

CREATE FUNCTION close_account(versions integer[]) RETURNS SETOF uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    person uuid := current_user_id();
    stuck uuid[];
BEGIN
    IF NOT key_permits('profile:update') THEN
        RETURN;
    END IF;
    IF current_session_id() IS NULL THEN
        RAISE EXCEPTION 'an API key may not do this; sign in' USING ERRCODE = 'CB403';
    END IF;
    PERFORM FROM users WHERE id = person AND ($1 IS NULL OR version = ANY ($1)) FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- nobody joins or leaves meanwhile
    PERFORM FROM organizations WHERE id IN (SELECT organization_id FROM organization_members WHERE user_id = person)
    ORDER BY id FOR NO KEY UPDATE;
    SELECT array_agg(own.organization_id) INTO stuck FROM organization_members AS own
    JOIN organizations ON organizations.id = own.organization_id AND organizations.deleted_at IS NULL
    WHERE own.user_id = person AND own.role = 'owner'
      AND EXISTS (SELECT FROM organization_members AS other
          WHERE other.organization_id = own.organization_id AND other.user_id <> person)
      AND (organizations.personal_user_id = person OR NOT EXISTS (SELECT FROM organization_members AS other
          WHERE other.organization_id = own.organization_id AND other.user_id <> person AND other.role = 'owner'));
    IF stuck IS NOT NULL THEN
        RAISE EXCEPTION 'hand over the organizations that nobody else owns, or remove their other members, first'
            USING ERRCODE = 'CB002', DETAIL = json_build_object('organizations', stuck)::text;
    END IF;
    DELETE FROM organization_members AS own USING organizations
    WHERE own.user_id = person AND organizations.id = own.organization_id AND organizations.deleted_at IS NULL
      AND EXISTS (SELECT FROM organization_members AS other
          WHERE other.organization_id = own.organization_id AND other.user_id <> person);
    -- what nobody else belongs to goes along
    UPDATE organizations SET deleted_at = clock_timestamp()
    WHERE deleted_at IS NULL AND personal_user_id IS NULL
      AND id IN (SELECT organization_id FROM organization_members WHERE user_id = person);
    UPDATE api_keys SET deleted_at = clock_timestamp(), is_active = false WHERE user_id = person AND deleted_at IS NULL;
    UPDATE user_tokens SET used_at = clock_timestamp() WHERE user_id = person AND used_at IS NULL;
    PERFORM end_sessions(person, NULL);
    UPDATE users SET deleted_at = clock_timestamp(), is_active = false WHERE id = person;
    RETURN NEXT person;
END
$$;
COMMENT ON FUNCTION close_account(integer[]) IS
    'The caller''s account ends, softly: sessions and keys at once, memberships too. No row where the version or the key''s permission is another.';
GRANT EXECUTE ON FUNCTION close_account(integer[]) TO authenticated_users;

CREATE FUNCTION views_refreshed_at() RETURNS timestamptz
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN (SELECT max(started_at) FROM maintenance_runs WHERE task = 'refresh-views' AND outcome = 'succeeded');
END
$$;
COMMENT ON FUNCTION views_refreshed_at() IS 'As of when the materialized views are; NULL before their first refresh.';
GRANT EXECUTE ON FUNCTION views_refreshed_at() TO authenticated_users;

-- ===== Refusals. The tenant whose thing it was hears of it, if the caller is a member there; otherwise it stays with the
-- caller's own organization. Where the request does not name the tenant, the first event of what it names does.
CREATE FUNCTION record_refusal(
    action text, resource_type text, resource_id text, organization_id uuid, named_type text, named_id text, details jsonb
) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    tenant uuid := coalesce($4, (SELECT events.organization_id FROM events
        WHERE aggregate_type = $5 AND aggregate_id = aggregate_uuid($6) LIMIT 1));
BEGIN
    IF NOT EXISTS (
        SELECT FROM organization_members AS member WHERE member.organization_id = tenant AND member.user_id = current_user_id()
    ) THEN
        tenant := personal_organization_id();
    END IF;
    PERFORM record_audit($1, $2, $3, tenant, $7 || '{"outcome": "refused"}');
END
$$;
COMMENT ON FUNCTION record_refusal(text, text, text, uuid, text, text, jsonb) IS 'Appends to audit_logs what the caller tried and may not do.';
GRANT EXECUTE ON FUNCTION record_refusal(text, text, text, uuid, text, text, jsonb) TO authenticated_users;

ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
SET LOCAL ROLE ccb_owner;

CREATE TRIGGER trigger_organization_invitations_rank BEFORE INSERT ON organization_invitations
    FOR EACH ROW EXECUTE FUNCTION guard_invitation();
CREATE TRIGGER trigger_organization_invitations_permissions BEFORE INSERT ON organization_invitations
    FOR EACH ROW WHEN (NEW.permissions <> '[]') EXECUTE FUNCTION check_permission_names();
