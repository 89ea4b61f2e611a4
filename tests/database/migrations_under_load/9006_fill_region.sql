-- no transaction
-- A few rows at a time, so that nobody waits for long.
DO $$
DECLARE
    batch uuid[];
BEGIN
    PERFORM set_config('row_security', 'on', false);
    LOOP
        batch := ARRAY(SELECT id FROM integrations WHERE region IS NULL LIMIT 20 FOR UPDATE SKIP LOCKED);
        EXIT WHEN cardinality(batch) = 0;
        UPDATE integrations SET region = 'eu' WHERE id = ANY (batch);
        COMMIT;
    END LOOP;
END
$$;
