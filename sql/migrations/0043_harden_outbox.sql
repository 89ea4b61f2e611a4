-- The outbox never fails a change, and costs one without webhooks next to nothing.

-- Whatever is in the settings: a schedule that makes no sense is the default.
CREATE OR REPLACE FUNCTION webhook_retry_seconds(settings jsonb) RETURNS integer[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = public, pg_temp
AS $$
DECLARE
    given CONSTANT jsonb := settings #> '{webhooks,retry_seconds}';
BEGIN
    IF jsonb_typeof(given) = 'array' AND given <> '[]'
        AND NOT jsonb_path_exists(given, 'strict $[*] ? (!(@.type() == "number" && @ >= 0 && @ <= 604800))')
    THEN
        RETURN (
            SELECT array_agg(round(delay::numeric)::integer ORDER BY place)
            FROM jsonb_array_elements_text(given) WITH ORDINALITY AS delays (delay, place));
    END IF;
    RETURN '{0,5,300,1800,7200,18000,36000,50400,72000,86400}';
END
$$;

-- keyvalue() makes three objects out of each object, so that thirteen of them in a row took a change longer than twenty
-- seconds; and each comparison goes over the payload once, so that their number is limited.
CREATE OR REPLACE FUNCTION is_webhook_filter(filter text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = public, pg_temp
AS $$
DECLARE
    skeleton text;
BEGIN
    -- as PostgreSQL spells it, without the contents of its strings and names
    skeleton := regexp_replace(filter::jsonpath::text, '"(\\.|[^"\\])*"', '""', 'g');
    RETURN length(filter) <= 1000
        AND skeleton !~ '\?|\*\*|,|like_regex|keyvalue'
        AND (SELECT count(*) <= 20 AND NOT bool_or(part ~ '[$@].*[$@]')
            FROM regexp_split_to_table(skeleton, '&&|\|\|') AS part)
        -- a predicate has one answer, whatever it is asked of; a path finds things or nothing
        AND (SELECT count(*) = 1 AND bool_and(jsonb_typeof(answer) IN ('boolean', 'null'))
            FROM jsonb_path_query('{}', filter::jsonpath, '{}', true) AS answer);
EXCEPTION WHEN OTHERS THEN
    RETURN false; -- not a path at all
END
$$;

CREATE OR REPLACE FUNCTION webhook_filter_matches(filter text, payload jsonb) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF filter LIKE '%keyvalue%' AND NOT is_webhook_filter(filter) THEN
        RETURN false; -- let in before
    END IF;
    RETURN coalesce(jsonb_path_match(payload, filter::jsonpath, '{}', true), false);
EXCEPTION WHEN OTHERS THEN
    RETURN false; -- some faults (time zones of dates) are raised in spite of silence; a filter never fails the change
END
$$;
