-- The schedule in pg_cron's tables, which are there only with the extension: operations/pg_cron.py.

-- name: is_here
SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') AND to_regprocedure(
    'cron.schedule_in_database(text, text, text, text, text, boolean)') IS NOT NULL

-- name: admit
-- It reads which of its tasks are here.
GRANT USAGE ON SCHEMA cron TO ccb_worker

-- name: register
-- Adds a job or changes it. One that was made inactive by hand stays so, and the worker does the task.
SELECT cron.schedule_in_database($1::text, $2::text,
    CASE WHEN $3::boolean THEN format('CALL public.run_maintenance(%L, %s)', $1::text, $4::integer)
        ELSE format('SELECT public.ask_for_maintenance(%L)', $1::text) END,
    current_database()::text, 'ccb_worker', true)

-- name: register_history
-- Which pg_cron keeps for ever.
SELECT cron.schedule_in_database('cleanup-cron-history', '45 2 * * *',
    'DELETE FROM cron.job_run_details WHERE end_time < now() - interval ''30 days''', current_database()::text, 'ccb_worker', true)

-- name: unregister_others
SELECT cron.unschedule(jobid) FROM cron.job
WHERE username = 'ccb_worker' AND database = current_database() AND jobname <> ALL ($1::text[])
