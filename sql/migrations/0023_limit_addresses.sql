-- Requests without a credential are counted by the address that they come from.

CREATE FUNCTION count_address_request(address_hash text, requests_an_hour integer)
    RETURNS TABLE (request_limit integer, remaining integer, reset_seconds integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN QUERY SELECT * FROM take_request($1, $2);
END
$$;
REVOKE ALL ON FUNCTION count_address_request(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION count_address_request(text, integer) TO ccb_service;
-- last, because only an owner grants
ALTER FUNCTION count_address_request(text, integer) OWNER TO ccb_definer;
