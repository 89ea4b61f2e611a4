-- Requests of many items lock what they count, all in the same order, before they begin: two that meet in more than one
-- organization wait for each other instead of failing.

CREATE FUNCTION lock_usage(organization_ids uuid[], template_ids text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    -- in the order of the triggers: the template's use is counted before the organization's
    PERFORM FROM integration_templates AS template
    WHERE template.id = ANY ($2) AND (template.is_public OR EXISTS (
        SELECT FROM organization_members AS member
        WHERE member.organization_id = template.organization_id AND member.user_id = current_user_id()))
    ORDER BY template.id
    FOR NO KEY UPDATE;
    PERFORM FROM organizations AS organization
    WHERE organization.id IN (
            SELECT coalesce(named.id, current_organization_id(), personal_organization_id()) FROM unnest($1) AS named (id))
        AND EXISTS (SELECT FROM organization_members AS member
            WHERE member.organization_id = organization.id AND member.user_id = current_user_id())
    ORDER BY organization.id
    FOR NO KEY UPDATE;
END
$$;
COMMENT ON FUNCTION lock_usage(uuid[], text[]) IS 'Locks those of these templates and organizations that the caller may know of; NULL is the one that is meant when none is named.';
REVOKE ALL ON FUNCTION lock_usage(uuid[], text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lock_usage(uuid[], text[]) TO authenticated_users;
-- last, because only an owner grants
ALTER FUNCTION lock_usage(uuid[], text[]) OWNER TO ccb_definer;
