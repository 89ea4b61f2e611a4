-- A test that fails has no place among events, so that it holds up none of an ordered webhook. And five days of failures are those
-- of one URL.

SET LOCAL ROLE ccb_definer;
DO $$
DECLARE
    claim text := pg_get_functiondef('claim_deliveries'::regproc);
    head CONSTANT text := 'WHERE room.is_ordered AND delivery.webhook_id = room.id AND delivery.status = ''pending''';
BEGIN
    ASSERT position(head IN claim) > 0;
    EXECUTE replace(claim, head, head || '
                      AND (delivery.event_position IS NOT NULL OR delivery.run_after <= moment)');
END
$$;
SET LOCAL ROLE ccb_owner;

DO $$
DECLARE
    change text := pg_get_functiondef('webhook_change'::regproc);
    rotation CONSTANT text := '-- a person rotates;';
BEGIN
    ASSERT position(rotation IN change) > 0;
    EXECUTE replace(change, rotation, $branch$IF NEW.url <> OLD.url THEN
        NEW.failing_since := NULL;
        NEW.failure_count := 0;
    END IF;
    $branch$ || rotation);
END
$$;
CREATE OR REPLACE TRIGGER trigger_webhooks_change BEFORE UPDATE OF is_active, secret, url ON webhooks
    FOR EACH ROW EXECUTE FUNCTION webhook_change();
