-- An operator's permission passes from an API key to another only by name. No `*` stands for it, so none hands it on:
-- a key that may do everything in its owner's organizations could make itself an operator's.

SET LOCAL ROLE ccb_definer;
CREATE OR REPLACE FUNCTION within_own_reach(permissions text[], rate_limit integer, expires_at timestamptz) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    own api_keys;
BEGIN
    IF current_permissions() IS NOT NULL AND EXISTS (
        SELECT FROM unnest(within_own_reach.permissions) AS wanted
        WHERE NOT CASE WHEN wanted LIKE 'operations:%' THEN wanted = ANY (current_permissions())
            ELSE current_permissions() && ARRAY[wanted, split_part(wanted, ':', 1) || ':*', '*'] END
    ) THEN
        RETURN false;
    END IF;
    IF current_api_key_id() IS NULL THEN
        RETURN current_user_id() IS NOT NULL;
    END IF;
    SELECT * INTO own FROM api_keys WHERE id = current_api_key_id();
    RETURN within_own_reach.rate_limit <= own.rate_limit
        AND (own.expires_at IS NULL OR coalesce(within_own_reach.expires_at, 'infinity') <= own.expires_at);
END
$$;
SET LOCAL ROLE ccb_owner;
