-- Who is asking: the context of a transaction, read by policies and triggers.
-- Each setting is made with set_config(…, true) and is '' again after the transaction, hence nullif.

CREATE FUNCTION current_user_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.current_user_id', true), '')::uuid;
COMMENT ON FUNCTION current_user_id() IS 'The acting user; NULL where the context was forgotten.';

CREATE FUNCTION current_organization_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.current_organization_id', true), '')::uuid;
COMMENT ON FUNCTION current_organization_id() IS 'The organization that the acting API key is bound to; NULL for all of the user''s.';

CREATE FUNCTION current_permissions() RETURNS text[]
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.current_permissions', true), '')::text[];
COMMENT ON FUNCTION current_permissions() IS 'The acting API key''s permissions; NULL for a session, which is not narrowed.';

CREATE FUNCTION current_api_key_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.current_api_key_id', true), '')::uuid;

CREATE FUNCTION current_session_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.current_session_id', true), '')::uuid;

CREATE FUNCTION key_permits(permission text) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN current_user_id() IS NOT NULL AND (
        current_permissions() IS NULL
        OR current_permissions() && ARRAY[permission, split_part(permission, ':', 1) || ':*', '*']
    );
COMMENT ON FUNCTION key_permits(text) IS 'Whether the credential itself lets the permission through; the member''s role is asked elsewhere.';

-- Bookkeeping that the database does by itself: a change of nothing but these columns is not a new
-- version of the row, and so neither an event nor another ETag.
CREATE FUNCTION bookkeeping_columns(table_name text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE table_name
        WHEN 'users' THEN ARRAY['last_login_at']
        WHEN 'organizations' THEN ARRAY['usage_stats']
        WHEN 'api_keys' THEN ARRAY['last_used_at']
        WHEN 'integrations' THEN ARRAY['last_execution_at']
        WHEN 'integration_templates' THEN ARRAY['usage_count']
        WHEN 'webhooks' THEN ARRAY['last_success_at', 'last_failure_at', 'failure_count']
        WHEN 'schedules' THEN ARRAY['next_run_at']
        WHEN 'workflow_executions' THEN ARRAY['progress', 'run_after', 'lease_token', 'lease_expires_at', 'attempt']
        ELSE '{}'::text[]
    END;

-- Columns that never enter an event, an audit row or a log (ruling 4).
CREATE FUNCTION secret_columns() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY['password_hash', 'key_hash', 'session_token', 'refresh_token', 'previous_refresh_token', 'token_hash',
        'secret'];

-- Ruling 5: one trigger for every mutable table. The row version is `version`, or `version_number`
-- where the document gives `version` to a label. The argument names the partition key of a partitioned table: a row
-- that changed its partition would be deleted and inserted, events and all.
CREATE FUNCTION update_timestamp() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
DECLARE
    before jsonb := to_jsonb(OLD);
    after jsonb := to_jsonb(NEW);
    bookkeeping text[] := bookkeeping_columns(TG_TABLE_NAME);
BEGIN
    IF before -> 'organization_id' IS DISTINCT FROM after -> 'organization_id' OR before -> 'id' IS DISTINCT FROM after -> 'id' THEN
        RAISE EXCEPTION 'a row stays in its organization' USING ERRCODE = 'CB008', TABLE = TG_TABLE_NAME;
    END IF;
    IF TG_ARGV[0] IS NOT NULL AND before -> TG_ARGV[0] IS DISTINCT FROM after -> TG_ARGV[0] THEN
        RAISE EXCEPTION 'a row stays in its partition' USING ERRCODE = 'CB008', TABLE = TG_TABLE_NAME;
    END IF;
    IF before IS DISTINCT FROM after AND before - bookkeeping = after - bookkeeping THEN
        RETURN NEW;
    END IF;
    -- the wall clock under the row's lock, not the start of the transaction: the times of one
    -- aggregate rise with its versions
    NEW.updated_at := greatest(clock_timestamp(), OLD.updated_at + interval '1 microsecond');
    IF before ? 'version_number' THEN
        NEW.version_number := OLD.version_number + 1;
    ELSE
        NEW.version := OLD.version + 1;
    END IF;
    RETURN NEW;
END
$$;

-- RFC 7396: how PATCH changes a row and the objects in it.
CREATE FUNCTION jsonb_merge_patch(target jsonb, patch jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = public, pg_temp
AS $$
DECLARE
    entry record;
    merged jsonb := CASE WHEN jsonb_typeof(target) = 'object' THEN target ELSE '{}' END;
BEGIN
    IF jsonb_typeof(patch) <> 'object' THEN
        RETURN patch;
    END IF;
    FOR entry IN SELECT * FROM jsonb_each(patch) LOOP
        merged := CASE WHEN entry.value = 'null' THEN merged - entry.key
            ELSE merged || jsonb_build_object(entry.key, jsonb_merge_patch(merged -> entry.key, entry.value)) END;
    END LOOP;
    RETURN merged;
END
$$;

CREATE FUNCTION newest_migration() RETURNS integer
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
    SELECT coalesce(max(number), 0) FROM schema_migrations
$$;
REVOKE ALL ON FUNCTION newest_migration() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION newest_migration() TO ccb_service, ccb_worker;
