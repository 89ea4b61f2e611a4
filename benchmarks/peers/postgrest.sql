-- What PostgREST calls first in each transaction, already in the role of a user: the key in the header becomes the
-- context. In the scratch database only.
CREATE FUNCTION authenticate_postgrest() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    headers json := current_setting('request.headers')::json;
BEGIN
    PERFORM authenticate_api_key(
        encode(sha256((headers ->> 'x-api-key')::bytea), 'hex'), NULL, '127.0.0.1', headers ->> 'user-agent');
END
$$;
REVOKE ALL ON FUNCTION authenticate_postgrest() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authenticate_postgrest() TO authenticated_users;
