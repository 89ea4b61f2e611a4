-- What a user changed about themselves, such as preferences, is theirs alone: a personal organization may have members,
-- who see no other user's profile either.

ALTER POLICY events_select ON events USING (
    organization_id = ANY (ARRAY(SELECT permitted_organizations('events:read')))
    AND (aggregate_type <> 'api_key' OR organization_id = ANY (ARRAY(SELECT permitted_organizations('api_keys:read'))))
    AND (aggregate_type <> 'user' OR aggregate_id = (SELECT current_user_id()))
);
