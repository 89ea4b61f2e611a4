-- violation: ccb_service
ALTER ROLE ccb_service BYPASSRLS;
-- violation: ccb_definer
ALTER ROLE ccb_definer SUPERUSER;
-- violation: ccb_worker
ALTER ROLE ccb_worker INHERIT;
-- violation: authenticated_users
ALTER ROLE authenticated_users CREATEROLE;
-- violation: ccb_service
GRANT ccb_definer TO authenticated_users;
