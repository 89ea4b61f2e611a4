-- The order in which events are read: (transaction id, position), of what is settled. Positions are drawn when an event is
-- written, commits come later: below the oldest transaction that still runs nothing is added any more.
-- A dump takes its events to a cluster whose transaction ids may be lower. So what an event keeps is its transaction's id
-- plus an offset, which is higher in every place that the database came to (docs/events.md).

CREATE TABLE event_clocks (
    system_identifier BIGINT NOT NULL,
    relation OID NOT NULL,
    transaction_offset BIGINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT pk_event_clocks PRIMARY KEY (system_identifier, relation),
    CONSTRAINT uq_event_clocks_transaction_offset UNIQUE (transaction_offset)
);
COMMENT ON TABLE event_clocks IS 'Where events were written: one row for each place that this database has lived in.';
COMMENT ON COLUMN event_clocks.relation IS 'This table''s own oid: another one in each database that a dump is restored into.';
COMMENT ON COLUMN event_clocks.transaction_offset IS 'A multiple of 10^13, which is more transactions than a cluster sees.';
ALTER TABLE event_clocks ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_clocks FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT ON event_clocks TO ccb_definer;
CREATE POLICY event_clocks_definer_select ON event_clocks FOR SELECT TO ccb_definer USING (true);
CREATE POLICY event_clocks_definer_insert ON event_clocks FOR INSERT TO ccb_definer WITH CHECK (true);

-- The offset here; NULL where nothing has been written since the database came here.
CREATE FUNCTION transaction_offset() RETURNS bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT clock.transaction_offset FROM event_clocks AS clock
        WHERE clock.system_identifier = (SELECT control.system_identifier FROM pg_control_system() AS control)
          AND clock.relation = 'event_clocks'::regclass);
END
$$;

CREATE FUNCTION next_transaction_offset() RETURNS bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN (SELECT coalesce(max(clock.transaction_offset) + 10000000000000, 0) FROM event_clocks AS clock);
END
$$;

-- What an event keeps of its transaction.
CREATE FUNCTION event_transaction_id() RETURNS xid8
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
DECLARE
    here bigint := transaction_offset();
BEGIN
    IF here IS NULL THEN
        -- the first ones to write wait for the very first
        INSERT INTO event_clocks (system_identifier, relation, transaction_offset)
        SELECT control.system_identifier, 'event_clocks'::regclass, next_transaction_offset()
        FROM pg_control_system() AS control
        ON CONFLICT DO NOTHING;
        here := transaction_offset();
    END IF;
    RETURN (here + pg_current_xact_id()::text::bigint)::text::xid8;
END
$$;

-- STABLE, so that it sees the moment that the statement around it sees: what that one cannot see yet is not below.
CREATE FUNCTION event_horizon() RETURNS xid8
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    RETURN coalesce(
        transaction_offset() + pg_snapshot_xmin(pg_current_snapshot())::text::bigint, next_transaction_offset())::text::xid8;
END
$$;
COMMENT ON FUNCTION event_horizon() IS 'Every event below it is there for all to see: none will be added.';

REVOKE ALL ON FUNCTION transaction_offset() FROM PUBLIC;
REVOKE ALL ON FUNCTION next_transaction_offset() FROM PUBLIC;
REVOKE ALL ON FUNCTION event_transaction_id() FROM PUBLIC;
REVOKE ALL ON FUNCTION event_horizon() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION event_horizon() TO authenticated_users;
-- last, because only an owner grants
ALTER FUNCTION transaction_offset() OWNER TO ccb_definer;
ALTER FUNCTION next_transaction_offset() OWNER TO ccb_definer;
ALTER FUNCTION event_transaction_id() OWNER TO ccb_definer;
ALTER FUNCTION event_horizon() OWNER TO ccb_definer;
SET LOCAL ROLE ccb_definer;
-- the rows of archived months are written again when they come back, by the owner
GRANT EXECUTE ON FUNCTION event_transaction_id() TO ccb_owner;
-- times in events are UTC, whoever writes them
ALTER FUNCTION record_event() SET timezone = 'UTC';
-- begins the clock here; events that were written elsewhere come first
INSERT INTO event_clocks (system_identifier, relation, transaction_offset)
SELECT control.system_identifier, 'event_clocks'::regclass,
    CASE WHEN EXISTS (SELECT FROM events WHERE transaction_id >= pg_current_xact_id()) THEN 10000000000000 ELSE 0 END
FROM pg_control_system() AS control;
SET LOCAL ROLE ccb_owner;

ALTER TABLE events ALTER COLUMN transaction_id SET DEFAULT event_transaction_id();
COMMENT ON COLUMN events.transaction_id IS 'The transaction''s id, plus the offset of the place where it ran (event_clocks).';

-- One aggregate's events, also where only its id is given: ids do not repeat among kinds.
DROP INDEX idx_events_aggregate;
CREATE INDEX idx_events_aggregate ON events (aggregate_id, aggregate_type, version);
