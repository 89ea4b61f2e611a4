-- The login roles. Used by database/powers.py and database/provision.py.

-- name: powers :one
-- What a login could do past row level security, as itself or as a role that it may become: a superuser, a role that
-- bypasses the policies, an owner (ccb_definer too, which the policies let see everything), one that can make itself any.
SELECT current_user AS name,
    bool_or(rolsuper) AS is_superuser,
    bool_or(rolbypassrls) AS bypasses_rls,
    bool_or(EXISTS (
        SELECT FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'm') AND relowner = pg_roles.oid
    )) AS is_owner,
    bool_or(rolcreaterole) AS makes_roles
FROM pg_roles WHERE pg_has_role(oid, 'MEMBER')

-- name: may_serve :one
-- Whether a login may do the first thing that each request asks of it.
SELECT has_function_privilege('authenticate_api_key(text, text, text, text)', 'EXECUTE') AS may_serve, current_user AS name
