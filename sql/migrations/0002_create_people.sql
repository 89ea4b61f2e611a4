-- People, organizations, what they may do, and their credentials.

CREATE TABLE users (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    email VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL,
    password_hash VARCHAR(255) NOT NULL,
    avatar_url VARCHAR(500),
    preferences JSONB NOT NULL DEFAULT '{}',
    email_verified_at TIMESTAMP WITH TIME ZONE,
    last_login_at TIMESTAMP WITH TIME ZONE,
    is_active BOOLEAN NOT NULL DEFAULT true,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    deleted_at TIMESTAMP WITH TIME ZONE,
    version INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT pk_users PRIMARY KEY (id),
    CONSTRAINT ck_users_preferences CHECK (jsonb_typeof(preferences) = 'object')
);
CREATE UNIQUE INDEX uq_users_email ON users (lower(email)) WHERE deleted_at IS NULL;
CREATE INDEX idx_users_email ON users (email) WHERE deleted_at IS NULL;
CREATE INDEX idx_users_active ON users (is_active) WHERE deleted_at IS NULL;
CREATE INDEX idx_users_active_email ON users (email) WHERE is_active = true AND deleted_at IS NULL;
CREATE INDEX idx_users_created_at ON users (created_at);

CREATE TABLE organizations (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    name VARCHAR(255) NOT NULL,
    slug VARCHAR(100) NOT NULL,
    description TEXT,
    plan VARCHAR(50) NOT NULL DEFAULT 'free',
    settings JSONB NOT NULL DEFAULT '{}',
    limits JSONB NOT NULL DEFAULT '{}',
    usage_stats JSONB NOT NULL DEFAULT '{}',
    personal_user_id UUID,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    deleted_at TIMESTAMP WITH TIME ZONE,
    version INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT pk_organizations PRIMARY KEY (id),
    -- deferred: the personal organization is inserted before its user, whose event belongs to it
    CONSTRAINT fk_organizations_users FOREIGN KEY (personal_user_id) REFERENCES users (id)
        DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT uq_organizations_personal_user_id UNIQUE (personal_user_id),
    CONSTRAINT ck_organizations_plan CHECK (plan IN ('free', 'pro', 'enterprise')),
    CONSTRAINT ck_organizations_slug CHECK (slug ~ '^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$'),
    -- everybody keeps one organization of their own
    CONSTRAINT ck_organizations_personal CHECK (personal_user_id IS NULL OR deleted_at IS NULL),
    CONSTRAINT ck_organizations_settings CHECK (jsonb_typeof(settings) = 'object'),
    CONSTRAINT ck_organizations_limits CHECK (jsonb_typeof(limits) = 'object')
);
COMMENT ON COLUMN organizations.personal_user_id IS 'The user whose personal organization this is; NULL for a team''s.';
CREATE UNIQUE INDEX uq_organizations_slug ON organizations (lower(slug)) WHERE deleted_at IS NULL;
CREATE INDEX idx_organizations_slug ON organizations (slug) WHERE deleted_at IS NULL;
CREATE INDEX idx_organizations_plan ON organizations (plan);

CREATE TABLE organization_members (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL,
    user_id UUID NOT NULL,
    role VARCHAR(50) NOT NULL DEFAULT 'viewer',
    permissions JSONB NOT NULL DEFAULT '[]',
    invited_by UUID,
    joined_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    version INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT pk_organization_members PRIMARY KEY (id),
    CONSTRAINT fk_organization_members_organizations FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT fk_organization_members_users FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT fk_organization_members_users_invited_by FOREIGN KEY (invited_by) REFERENCES users (id),
    CONSTRAINT uq_organization_members_organization_id_user_id UNIQUE (organization_id, user_id),
    CONSTRAINT ck_organization_members_role CHECK (role IN ('owner', 'admin', 'developer', 'viewer')),
    CONSTRAINT ck_organization_members_permissions CHECK (jsonb_typeof(permissions) = 'array')
);
CREATE INDEX idx_org_members_user_id ON organization_members (user_id);
CREATE INDEX idx_org_members_role ON organization_members (role);
CREATE INDEX idx_org_members_org_role ON organization_members (organization_id, role);
CREATE INDEX idx_org_members_invited_by ON organization_members (invited_by);
CREATE INDEX idx_org_members_org_created ON organization_members (organization_id, created_at, id);

CREATE TABLE permissions (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    name VARCHAR(100) NOT NULL,
    description TEXT,
    resource VARCHAR(100) NOT NULL,
    action VARCHAR(100) NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT pk_permissions PRIMARY KEY (id),
    CONSTRAINT uq_permissions_name UNIQUE (name),
    CONSTRAINT ck_permissions_name CHECK (name = resource || ':' || action)
);
CREATE INDEX idx_permissions_resource ON permissions (resource);
CREATE INDEX idx_permissions_action ON permissions (action);

CREATE TABLE role_permissions (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    role VARCHAR(50) NOT NULL,
    permission_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT pk_role_permissions PRIMARY KEY (id),
    CONSTRAINT fk_role_permissions_permissions FOREIGN KEY (permission_id) REFERENCES permissions (id),
    CONSTRAINT uq_role_permissions_role_permission_id UNIQUE (role, permission_id),
    CONSTRAINT ck_role_permissions_role CHECK (role IN ('owner', 'admin', 'developer', 'viewer'))
);
CREATE INDEX idx_role_permissions_permission ON role_permissions (permission_id);

CREATE TABLE api_keys (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL,
    organization_id UUID,
    name VARCHAR(255) NOT NULL,
    key_hash VARCHAR(255) NOT NULL,
    key_prefix VARCHAR(20) NOT NULL,
    permissions TEXT[] NOT NULL DEFAULT '{}',
    rate_limit INTEGER NOT NULL DEFAULT 1000,
    last_used_at TIMESTAMP WITH TIME ZONE,
    expires_at TIMESTAMP WITH TIME ZONE,
    is_active BOOLEAN NOT NULL DEFAULT true,
    rotated_to UUID,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    deleted_at TIMESTAMP WITH TIME ZONE,
    version INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT pk_api_keys PRIMARY KEY (id),
    CONSTRAINT fk_api_keys_users FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT fk_api_keys_organizations FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT fk_api_keys_api_keys FOREIGN KEY (rotated_to) REFERENCES api_keys (id),
    CONSTRAINT uq_api_keys_key_hash UNIQUE (key_hash),
    CONSTRAINT ck_api_keys_key_hash CHECK (key_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT ck_api_keys_rate_limit CHECK (rate_limit BETWEEN 1 AND 100000000)
);
COMMENT ON COLUMN api_keys.organization_id IS 'The only organization the key reaches; NULL for all of its owner''s.';
COMMENT ON COLUMN api_keys.rotated_to IS 'The key that takes this one''s place once the overlap has passed.';
CREATE INDEX idx_api_keys_user ON api_keys (user_id, created_at, id);
CREATE INDEX idx_api_keys_organization ON api_keys (organization_id, created_at, id);
CREATE INDEX idx_api_keys_prefix ON api_keys (key_prefix);
CREATE INDEX idx_api_keys_active ON api_keys (is_active) WHERE deleted_at IS NULL;
CREATE INDEX idx_api_keys_rotated_to ON api_keys (rotated_to);

CREATE TABLE user_sessions (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL,
    session_token VARCHAR(255) NOT NULL,
    refresh_token VARCHAR(255),
    previous_refresh_token VARCHAR(255),
    ip_address INET,
    user_agent TEXT,
    access_expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    refreshed_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    version INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT pk_user_sessions PRIMARY KEY (id),
    CONSTRAINT fk_user_sessions_users FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT uq_user_sessions_session_token UNIQUE (session_token),
    CONSTRAINT uq_user_sessions_refresh_token UNIQUE (refresh_token),
    CONSTRAINT ck_user_sessions_tokens CHECK (session_token ~ '^[0-9a-f]{64}$' AND refresh_token ~ '^[0-9a-f]{64}$')
);
COMMENT ON TABLE user_sessions IS 'session_token, refresh_token and previous_refresh_token hold SHA-256 hashes, never tokens (ruling 16).';
CREATE INDEX idx_sessions_user ON user_sessions (user_id, created_at, id);
CREATE INDEX idx_sessions_expires ON user_sessions (expires_at);

CREATE TABLE user_tokens (
    token_hash VARCHAR(64) NOT NULL,
    user_id UUID NOT NULL,
    purpose VARCHAR(50) NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT pk_user_tokens PRIMARY KEY (token_hash),
    CONSTRAINT fk_user_tokens_users FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT ck_user_tokens_purpose CHECK (purpose IN ('verify_email', 'reset_password'))
);
COMMENT ON TABLE user_tokens IS 'Single-use tokens that were mailed; only their SHA-256 is here.';
CREATE INDEX idx_user_tokens_user ON user_tokens (user_id, purpose);

CREATE TABLE organization_invitations (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL,
    email VARCHAR(255) NOT NULL,
    role VARCHAR(50) NOT NULL DEFAULT 'viewer',
    permissions JSONB NOT NULL DEFAULT '[]',
    token_hash VARCHAR(64) NOT NULL,
    invited_by UUID NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    accepted_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    deleted_at TIMESTAMP WITH TIME ZONE,
    version INTEGER NOT NULL DEFAULT 1,
    CONSTRAINT pk_organization_invitations PRIMARY KEY (id),
    CONSTRAINT fk_organization_invitations_organizations FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT fk_organization_invitations_users FOREIGN KEY (invited_by) REFERENCES users (id),
    CONSTRAINT uq_organization_invitations_token_hash UNIQUE (token_hash),
    CONSTRAINT ck_organization_invitations_role CHECK (role IN ('admin', 'developer', 'viewer')),
    CONSTRAINT ck_organization_invitations_permissions CHECK (jsonb_typeof(permissions) = 'array')
);
CREATE UNIQUE INDEX uq_organization_invitations_open ON organization_invitations (organization_id, lower(email))
    WHERE accepted_at IS NULL AND deleted_at IS NULL;
CREATE INDEX idx_organization_invitations_org_created ON organization_invitations (organization_id, created_at, id);
CREATE INDEX idx_organization_invitations_invited_by ON organization_invitations (invited_by);
