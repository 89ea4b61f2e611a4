-- A server that was recovered to a point in time, or a standby that took over without the last transactions, gives out
-- transaction ids a second time. Readers who have seen the ones that were lost would pass over the new ones. So each
-- timeline of the write-ahead log is a place of its own to the clocks of events.

ALTER TABLE event_clocks ADD COLUMN timeline INTEGER NOT NULL DEFAULT 1;
-- whoever writes here is a function of this file
-- squawk-ignore ban-drop-default
ALTER TABLE event_clocks ALTER COLUMN timeline DROP DEFAULT;
-- a longer one takes its place
-- squawk-ignore ban-drop-constraint
ALTER TABLE event_clocks DROP CONSTRAINT pk_event_clocks;
-- a handful of rows
-- squawk-ignore constraint-missing-not-valid, adding-serial-primary-key-field
ALTER TABLE event_clocks ADD CONSTRAINT pk_event_clocks PRIMARY KEY (system_identifier, relation, timeline);
COMMENT ON COLUMN event_clocks.timeline IS 'Of the write-ahead log: another one after each recovery and each take-over.';

SET LOCAL ROLE ccb_definer;

CREATE FUNCTION current_timeline() RETURNS integer
    LANGUAGE plpgsql STABLE
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN NULL;
    END IF;
    RETURN ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer;
END
$$;
COMMENT ON FUNCTION current_timeline() IS 'Of the write-ahead log; NULL on a standby, which writes none.';
REVOKE ALL ON FUNCTION current_timeline() FROM PUBLIC;

CREATE OR REPLACE FUNCTION transaction_offset() RETURNS bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    here integer := current_timeline();
BEGIN
    RETURN (
        SELECT clock.transaction_offset FROM event_clocks AS clock
        WHERE clock.system_identifier = (SELECT control.system_identifier FROM pg_control_system() AS control)
          AND clock.relation = 'event_clocks'::regclass
          AND (clock.timeline = here OR here IS NULL) -- a standby reads what its primary writes: the newest clock's
        ORDER BY clock.transaction_offset DESC LIMIT 1);
END
$$;

CREATE OR REPLACE FUNCTION event_transaction_id() RETURNS xid8
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    here bigint := transaction_offset();
BEGIN
    IF here IS NULL THEN
        -- the first ones to write wait for the very first
        INSERT INTO event_clocks (system_identifier, relation, timeline, transaction_offset)
        SELECT control.system_identifier, 'event_clocks'::regclass, current_timeline(), next_transaction_offset()
        FROM pg_control_system() AS control
        ON CONFLICT DO NOTHING;
        here := transaction_offset();
    END IF;
    RETURN (here + pg_current_xact_id()::text::bigint)::text::xid8;
END
$$;

SET LOCAL ROLE ccb_owner;
