-- Every function that there is, under whoever is calling it.
DO $$
DECLARE
    definition text;
BEGIN
    FOR definition IN
        SELECT pg_get_functiondef(oid) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proowner = 'ccb_owner'::regrole
    LOOP
        EXECUTE definition;
    END LOOP;
END
$$;
