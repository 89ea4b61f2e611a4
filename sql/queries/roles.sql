-- The login roles. Used by database/provision.py.

-- name: powers :one
-- What a login could do past row level security: a superuser, a role that bypasses it, an owner of our tables.
SELECT current_user AS name,
    rolsuper AS is_superuser,
    rolbypassrls AS bypasses_rls,
    EXISTS (
        SELECT FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'm') AND pg_has_role(pg_class.relowner, 'USAGE')
    ) AS is_owner
FROM pg_roles WHERE rolname = current_user
