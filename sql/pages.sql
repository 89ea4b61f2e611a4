-- How the statement of a list ({source}) becomes one page of it. database/queries.py puts in the sort key and the
-- direction, from the list's own whitelist, {place}, which is where the page starts, and {watch}.
--
-- A page has a bound in bytes too (docs/decisions/0060-pages-by-bytes.md). Most pages are far below it, so the first
-- statement only looks out for a row of more than its share, and refuses then; `bounded` counts.

-- name: place
-- Behind the last row of the page before; ties of the sort key are mostly broken by the id.
(page.{key}, page.{tie}) {side} (%(after)s, %(after_tie)s)

-- name: any
-- Of everybody whom the policies let through: for lists that are short, or that no tenant leads.
SELECT page.* FROM ({source}) AS page
WHERE {place}{watch}
ORDER BY page.{key} {direction}, page.{tie} {direction} LIMIT %(limit)s

-- name: known
-- Of one tenant: its index gives the order.
SELECT page.* FROM ({source}) AS page
WHERE page.organization_id = %(organization_id)s AND {place}{watch}
ORDER BY page.{key} {direction}, page.{tie} {direction} LIMIT %(limit)s

-- name: each
-- Of each of the caller's tenants the first few by its index, then the first few of those: as fast on page one thousand
-- as on page one, where sorting all rows of all tenants would not be.
SELECT page.* FROM permitted_organizations({permission}) AS tenant (id)
CROSS JOIN LATERAL (
    SELECT page.* FROM ({source}) AS page
    WHERE page.organization_id = tenant.id AND {place}{watch}
    ORDER BY page.{key} {direction}, page.{tie} {direction} LIMIT %(limit)s
) AS page
ORDER BY page.{key} {direction}, page.{tie} {direction} LIMIT %(limit)s

-- name: watch
-- Always true. A row with a column of more than its share of 512 kB, as it is stored, makes the page one to be counted: of
-- less than that no page comes to more than some tens of megabytes, however well it was compressed.
AND CASE WHEN greatest({size})::bigint * %(limit)s > 524288 THEN refuse_large_page() ELSE true END

-- name: size
-- Bytes of a column as it is stored, without fetching or unpacking it.
pg_column_size(page.{column})

-- name: charge
-- The same, but none for NULL, and what is compressed counts sixteenfold.
coalesce(pg_column_size(page.{column}) * CASE WHEN pg_column_compression(page.{column}) IS NULL THEN 1::bigint ELSE 16 END, 0)

-- name: written
-- Bytes of a column as it is sent.
coalesce(octet_length(page.{column}::text), 0)

-- name: bounded
-- Of a page ({page}) the rows that begin within its first eight megabytes, at least one; `page_goes_on` where another
-- row follows in the list. Sizes as stored come first: only behind the first megabyte, and only what they let through, is
-- unpacked to be measured.
SELECT * FROM (
    SELECT page.*, sum({written}) FILTER (
            WHERE coalesce(page.page_stored, 0) < 8388608 AND coalesce(page.page_stored, 0) + {charge} > 1048576
        ) OVER before AS page_written
    FROM (
        SELECT page.*, lead(true, 1, false) OVER before AS page_goes_on, sum({charge}) OVER before AS page_stored
        FROM ({page}) AS page
        WINDOW before AS (ORDER BY page.{key} {direction}, page.{tie} {direction} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ) AS page
    WINDOW before AS (ORDER BY page.{key} {direction}, page.{tie} {direction} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
) AS page
WHERE (page.page_stored IS NULL OR page.page_stored < 8388608) AND (page.page_written IS NULL OR page.page_written < 8388608)
ORDER BY page.{key} {direction}, page.{tie} {direction}
