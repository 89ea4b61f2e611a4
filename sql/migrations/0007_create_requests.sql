-- What the service remembers of requests: rate limits, login throttling, idempotency keys.

-- UNLOGGED: after a crash everybody starts with a full budget, which harms nobody.
CREATE UNLOGGED TABLE rate_limits (
    subject VARCHAR(64) NOT NULL,
    arrival_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_rate_limits PRIMARY KEY (subject)
) WITH (fillfactor = 50);
COMMENT ON TABLE rate_limits IS 'GCRA: the theoretical arrival time of each credential, named by its hash.';

CREATE TABLE login_throttles (
    subject VARCHAR(64) NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    blocked_until TIMESTAMP WITH TIME ZONE,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT pk_login_throttles PRIMARY KEY (subject)
);
COMMENT ON TABLE login_throttles IS 'Failed logins in a row by account and by network address, both as SHA-256.';
CREATE INDEX idx_login_throttles_updated_at ON login_throttles (updated_at);

CREATE TABLE idempotency_keys (
    user_id UUID NOT NULL,
    route VARCHAR(255) NOT NULL,
    key VARCHAR(255) NOT NULL,
    request_hash VARCHAR(64) NOT NULL,
    response_status INTEGER NOT NULL,
    response_headers JSONB NOT NULL,
    response_body BYTEA NOT NULL,
    is_encrypted BOOLEAN NOT NULL DEFAULT false,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (user_id, route, key),
    CONSTRAINT fk_idempotency_keys_users FOREIGN KEY (user_id) REFERENCES users (id)
);
COMMENT ON TABLE idempotency_keys IS 'The first answer to a POST, kept 24 hours and written in the transaction of its effect.';
CREATE INDEX idx_idempotency_keys_expires ON idempotency_keys (expires_at);
