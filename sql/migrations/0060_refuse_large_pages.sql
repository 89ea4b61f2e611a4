-- Lists are bounded in bytes (docs/decisions/0060-pages-by-bytes.md): what the quick statement of a list calls where it
-- comes upon a row that is large.

CREATE FUNCTION refuse_large_page() RETURNS boolean
    LANGUAGE plpgsql VOLATILE
    SET search_path = public, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'a page with large rows has to be counted in bytes' USING ERRCODE = 'CB060';
END
$$;
COMMENT ON FUNCTION refuse_large_page() IS 'Ends a list''s quick statement at a large row; the service then asks by the one that counts bytes.';
