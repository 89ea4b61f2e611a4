-- Inbound calls of webhooks, before anybody is known.

-- name: secrets :maybe
-- What the call may be signed with, encrypted; no row for a webhook that takes no calls.
SELECT secret, previous_secret FROM inbound_hook_secrets(%(webhook_id)s)

-- name: accept :one
-- After the signature was right: starts an execution, once for each message.
SELECT accept_inbound_hook(%(webhook_id)s::uuid, %(message_id)s::text, to_timestamp(%(sent_at)s::bigint), jsonb_build_object(
    'webhook_id', %(webhook_id)s::uuid, 'message_id', %(message_id)s::text, 'sent_at', to_timestamp(%(sent_at)s::bigint),
    'headers', %(headers)s::jsonb, 'body', %(body)s::jsonb), %(calls_an_hour)s, %(request_id)s, %(ip_address)s, %(user_agent)s
) AS execution_id
