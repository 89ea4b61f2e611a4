-- The roles of the service. They belong to the cluster, not to one database, so this file runs before
-- the migrations, as the administrator, as often as one likes. The administrator needs CREATEROLE,
-- not SUPERUSER. Passwords of the login roles are set by database/provision.py.
DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT * FROM (VALUES
            -- owns every object; NOINHERIT, so that membership in ccb_definer gives it no rows to see
            ('ccb_owner', 'NOLOGIN NOINHERIT'),
            -- owns the SECURITY DEFINER functions; reaches rows only through policies that name it
            ('ccb_definer', 'NOLOGIN NOINHERIT'),
            -- owns the functions that report what the server does; reaches statistics, and no row of any table
            ('ccb_observer', 'NOLOGIN INHERIT'),
            -- what a request becomes: grants and row level security hang on it
            ('authenticated_users', 'NOLOGIN NOINHERIT'),
            -- logins of the web processes and of the background worker: powerless by themselves
            ('ccb_service', 'LOGIN NOINHERIT'),
            ('ccb_worker', 'LOGIN NOINHERIT'),
            -- login of the worker's maintenance, which becomes the owner: ALTER TABLE … DETACH PARTITION … CONCURRENTLY
            -- runs in no function, so no definer can do it for a powerless login
            ('ccb_maintainer', 'LOGIN NOINHERIT'),
            -- the login of backups: reads everything, changes nothing, and is no process's that serves
            ('ccb_backup', 'LOGIN INHERIT')
        ) AS roles (name, attributes)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I %s', wanted.name, wanted.attributes);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- another process that starts now was faster
            END;
        END IF;
    END LOOP;
END
$$;

DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT * FROM (VALUES
            ('ccb_owner', current_user::text),
            -- only who has the powers of each owner can restore a dump
            ('ccb_definer', current_user::text),
            ('ccb_observer', current_user::text),
            ('ccb_definer', 'ccb_owner'),
            ('ccb_observer', 'ccb_owner'),
            ('ccb_owner', 'ccb_maintainer'),
            ('authenticated_users', 'ccb_service'),
            ('authenticated_users', 'ccb_worker')
        ) AS memberships (granted, member)
    LOOP
        -- on PostgreSQL 16 and later the creator of a role holds it with ADMIN but without SET
        IF wanted.granted <> wanted.member AND NOT EXISTS (
            SELECT FROM pg_auth_members AS membership
            WHERE membership.roleid = wanted.granted::regrole
              AND membership.member = wanted.member::regrole
              AND coalesce((to_jsonb(membership) ->> 'set_option')::boolean, true)
        ) THEN
            EXECUTE format('GRANT %I TO %I', wanted.granted, wanted.member);
        END IF;
    END LOOP;
END
$$;

DO $$
BEGIN
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO ccb_service, ccb_worker, ccb_maintainer, ccb_backup', current_database());
    EXECUTE format('GRANT CREATE, TEMPORARY ON DATABASE %I TO ccb_owner', current_database());
    GRANT USAGE, CREATE ON SCHEMA public TO ccb_owner, ccb_definer, ccb_observer;
    GRANT USAGE ON SCHEMA public TO ccb_service, ccb_worker, ccb_backup, authenticated_users;
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
END
$$;

-- Not every administrator may hand this on. Without it the reports see the activity of the service's own roles only,
-- and say so.
DO $$
BEGIN
    IF NOT pg_has_role('ccb_observer', 'pg_read_all_stats', 'USAGE') THEN
        GRANT pg_read_all_stats TO ccb_observer;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'ccb_observer cannot be given pg_read_all_stats by %', current_user;
END
$$;

-- A dump has to read past row level security. Not every administrator may hand that on, above all on managed PostgreSQL:
-- there policies for this role stand in for it, which open_to_backups() makes.
DO $$
BEGIN
    IF NOT pg_has_role('ccb_backup', 'pg_read_all_data', 'USAGE') THEN
        GRANT pg_read_all_data TO ccb_backup;
    END IF;
    IF NOT (SELECT rolbypassrls FROM pg_roles WHERE rolname = 'ccb_backup') THEN
        ALTER ROLE ccb_backup BYPASSRLS;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'ccb_backup cannot be given BYPASSRLS by %', current_user;
END
$$;

-- Settings of the sessions belong to the roles, so that they hold behind a pooler too.
ALTER ROLE ccb_service SET statement_timeout = '15s';
ALTER ROLE ccb_service SET idle_in_transaction_session_timeout = '30s';
ALTER ROLE ccb_service SET timezone = 'UTC';
ALTER ROLE ccb_service SET jit = off;
-- The policies' condition beside the query's own makes the planner expect a handful of rows of a tenant that has
-- thousands, so it sorts them all where an index gives them in order: 13 ms a page of 17,000 rows instead of 0.5.
ALTER ROLE ccb_service SET enable_sort = off;
-- Statements are prepared once and for all: a plan for whatever LIMIT looks so dear beside one for a page that PostgreSQL
-- would plan every request anew, over each partition, which took four to eight times as long as the page itself.
ALTER ROLE ccb_service SET plan_cache_mode = force_generic_plan;
ALTER ROLE ccb_worker SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE ccb_worker SET timezone = 'UTC';
ALTER ROLE ccb_worker SET jit = off;
-- A runner that is gone lets go of its task within seconds, in the middle of a long statement too.
ALTER ROLE ccb_worker SET client_connection_check_interval = '2s';
ALTER ROLE ccb_worker SET tcp_keepalives_idle = '10s';
ALTER ROLE ccb_worker SET tcp_keepalives_interval = '5s';
ALTER ROLE ccb_worker SET tcp_keepalives_count = 3;
ALTER ROLE ccb_maintainer SET client_connection_check_interval = '2s';
ALTER ROLE ccb_maintainer SET tcp_keepalives_idle = '10s';
ALTER ROLE ccb_maintainer SET tcp_keepalives_interval = '5s';
ALTER ROLE ccb_maintainer SET tcp_keepalives_count = 3;
-- a dump takes as long as it takes
ALTER ROLE ccb_backup SET statement_timeout = 0;
ALTER ROLE ccb_backup SET idle_in_transaction_session_timeout = 0;
ALTER ROLE ccb_backup SET timezone = 'UTC';
