-- How the statement of a list ({source}) becomes one page of it. database/queries.py puts in the sort key and the
-- direction, from the list's own whitelist, and {place}, which is where the page starts.

-- name: place
-- Behind the last row of the page before; ties of the sort key are mostly broken by the id.
(page.{key}, page.{tie}) {side} (%(after)s, %(after_tie)s)

-- name: any
-- Of everybody whom the policies let through: for lists that are short, or that no tenant leads.
SELECT page.* FROM ({source}) AS page
WHERE {place}
ORDER BY page.{key} {direction}, page.{tie} {direction} LIMIT %(limit)s

-- name: known
-- Of one tenant: its index gives the order.
SELECT page.* FROM ({source}) AS page
WHERE page.organization_id = %(organization_id)s AND {place}
ORDER BY page.{key} {direction}, page.{tie} {direction} LIMIT %(limit)s

-- name: each
-- Of each of the caller's tenants the first few by its index, then the first few of those: as fast on page one thousand
-- as on page one, where sorting all rows of all tenants would not be.
SELECT page.* FROM permitted_organizations({permission}) AS tenant (id)
CROSS JOIN LATERAL (
    SELECT page.* FROM ({source}) AS page
    WHERE page.organization_id = tenant.id AND {place}
    ORDER BY page.{key} {direction}, page.{tie} {direction} LIMIT %(limit)s
) AS page
ORDER BY page.{key} {direction}, page.{tie} {direction} LIMIT %(limit)s
