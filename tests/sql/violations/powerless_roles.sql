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
-- violation: ccb_backup
GRANT ccb_owner TO ccb_backup;
-- violation: ccb_backup
ALTER ROLE ccb_backup REPLICATION;
-- violation: ccb_worker
GRANT ccb_backup TO ccb_worker;
-- violation: ccb_service
GRANT pg_read_all_data TO ccb_service;
