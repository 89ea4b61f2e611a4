-- Who belongs to an organization, and in what role.

-- name: get :maybe members:read
-- By the user, who is a member once at most.
SELECT * FROM member_profiles
WHERE organization_id = %(organization_id)s AND user_id = %(user_id)s

-- name: list :page members:read
-- sort: created_at
-- sized: permissions
-- Of one organization.
SELECT * FROM member_profiles
WHERE organization_id = %(organization_id)s AND (%(role)s::text IS NULL OR role = %(role)s)

-- name: lock_many :many
-- What many items change, in an order that all who do so keep.
SELECT organization_id FROM organization_members
WHERE organization_id = %(organization_id)s AND user_id = ANY (%(ids)s::uuid[]) ORDER BY user_id FOR NO KEY UPDATE

-- name: find_user :maybe members:create
-- Whoever is to be added is named by their address. No row for those who may not add: they learn of no account.
SELECT find_user(%(email)s) AS user_id FROM organizations
WHERE id = %(organization_id)s AND id = ANY (ARRAY(SELECT permitted_organizations('members:create')))

-- name: organization :maybe organizations:read
-- Whether the caller sees the organization at all: tells 404 from 403.
SELECT id FROM organizations WHERE id = %(organization_id)s

-- name: add :exec members:create
-- guard_membership() keeps ranks and permissions within the caller's own.
INSERT INTO organization_members (organization_id, user_id, role, permissions, invited_by)
VALUES (%(organization_id)s, %(user_id)s, coalesce(%(role)s::text, 'viewer'), to_jsonb(coalesce(%(permissions)s::text[], '{}')), current_user_id())

-- name: update :maybe members:update
-- Role and permissions, if it has the version that the caller read.
UPDATE organization_members SET
    role = coalesce(%(role)s::text, role),
    permissions = coalesce(to_jsonb(%(permissions)s::text[]), permissions)
WHERE organization_id = %(organization_id)s AND user_id = %(user_id)s
  AND (%(versions)s::integer[] IS NULL OR version = ANY (%(versions)s))
RETURNING *

-- name: remove :maybe members:delete
-- Somebody else, or oneself; the last owner stays.
DELETE FROM organization_members
WHERE organization_id = %(organization_id)s AND user_id = %(user_id)s
  AND (%(versions)s::integer[] IS NULL OR version = ANY (%(versions)s))
RETURNING *
