-- Invitations into organizations. The hash of the token never leaves the database.

-- name: get :maybe members:read
-- One of an organization.
SELECT * FROM invitation_listings
WHERE organization_id = %(organization_id)s AND id = %(invitation_id)s
  AND (deleted_at IS NULL OR %(include_deleted)s)

-- name: list :page members:read
-- sort: created_at
-- sized: permissions
-- Of one organization.
SELECT * FROM invitation_listings
WHERE organization_id = %(organization_id)s
  AND (deleted_at IS NULL OR %(include_deleted)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)

-- name: create :one members:create
-- guard_invitation() keeps role and permissions within the caller's own.
INSERT INTO organization_invitations (organization_id, email, role, permissions, token_hash, invited_by, expires_at)
VALUES (%(organization_id)s, %(email)s, coalesce(%(role)s::text, 'viewer'),
    to_jsonb(coalesce(%(permissions)s::text[], '{}')), %(token_hash)s, current_user_id(), CURRENT_TIMESTAMP + interval '7 days')
RETURNING id

-- name: renew :maybe members:update
-- Another token for another seven days; the one before holds no longer.
UPDATE organization_invitations SET token_hash = %(token_hash)s, expires_at = CURRENT_TIMESTAMP + interval '7 days'
WHERE organization_id = %(organization_id)s AND id = %(invitation_id)s AND status = 'pending' AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR version = ANY (%(versions)s))
RETURNING id

-- name: queue :one
-- In the transaction that made or renewed it.
SELECT queue_invitation(%(invitation_id)s, %(secret)s) AS wait_seconds

-- name: withdraw :maybe members:delete
-- Soft; its token holds no longer. One that was accepted is the membership's past, and stays.
UPDATE organization_invitations SET deleted_at = CURRENT_TIMESTAMP
WHERE organization_id = %(organization_id)s AND id = %(invitation_id)s AND status <> 'accepted' AND deleted_at IS NULL
  AND (%(versions)s::integer[] IS NULL OR version = ANY (%(versions)s))
RETURNING id

-- name: answer :one invitations:answer
-- accepted, declined, or why not.
SELECT outcome, organization_id, invitation_id FROM answer_invitation(%(token_hash)s, %(answer)s)
