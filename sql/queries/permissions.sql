-- What there is to permit, and which role may do it.

-- name: list :many
-- All of them; few and the same for everybody.
SELECT name, resource, action, description FROM permissions ORDER BY name

-- name: get :maybe
-- One by its name.
SELECT name, resource, action, description FROM permissions WHERE name = %(permission_name)s

-- name: get_role :maybe
-- One role with what it may do.
SELECT role_permissions.role, array_agg(permissions.name::text ORDER BY permissions.name) AS permissions
FROM role_permissions JOIN permissions ON permissions.id = role_permissions.permission_id
WHERE role_permissions.role = %(role)s
GROUP BY role_permissions.role

-- name: list_by_role :many
-- The roles from the lowest rank to the highest.
SELECT role_permissions.role, array_agg(permissions.name::text ORDER BY permissions.name) AS permissions
FROM role_permissions JOIN permissions ON permissions.id = role_permissions.permission_id
GROUP BY role_permissions.role
ORDER BY role_rank(role_permissions.role)
