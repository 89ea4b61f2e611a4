-- A policy asks who may once a statement, as = ANY (ARRAY(SELECT permitted_organizations('…'))): a call for each row was
-- 20,000 times slower, and IN (SELECT …) 800 times. Functions of the context alone are cheap, and inlined.
WITH stripped AS (
    SELECT schemaname, tablename, policyname,
        regexp_replace(
            coalesce(qual, '') || ' ' || coalesce(with_check, ''),
            'ARRAY\(\s*SELECT (permitted_organizations|member_organizations|fellow_members)\([^()]*\)[^()]*\)', '', 'g'
        ) AS rest,
        coalesce(qual, '') || ' ' || coalesce(with_check, '') AS expression
    FROM pg_policies
    WHERE schemaname = 'public'
),
calls AS (
    SELECT tablename, policyname, expression, (regexp_matches(rest, '([a-z_]+)\(', 'g'))[1] AS name, rest FROM stripped
)
SELECT format('%s.%s', tablename, policyname) AS object, format('calls %s() for each row', name) AS fault
FROM calls
WHERE name IN (SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace)
  AND name NOT IN ('current_user_id', 'current_organization_id', 'current_permissions', 'current_api_key_id',
      'current_session_id', 'key_permits',
      'within_own_reach') -- which checks the one row that is written
UNION
SELECT format('%s.%s', tablename, policyname), 'IN (SELECT …) drives no index'
FROM stripped WHERE expression ~* '\m(IN|ANY)\s*\(\s*SELECT'
ORDER BY 1, 2
