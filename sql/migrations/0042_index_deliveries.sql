-- A report writes a delivery anew, and each btree of it: of the eight there were, four served no query of a tenant. What was
-- given up or held has an index of its own, which deliveries that succeed never enter. Those that
-- take their place are built by the migrations from 0052 on, while requests go on.

-- a partitioned index knows no other way; only the catalogue is written
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX idx_webhook_deliveries_event, idx_webhook_deliveries_status, idx_webhook_deliveries_webhook,
    idx_webhook_deliveries_failed, idx_webhook_deliveries_org_webhook;

-- By the same indexes, whatever else a webhook has behind it. What is just being reported as delivered is locked, and left:
-- waiting for it, while the report waits for the next one, would be a deadlock. Reports of failures hold the webhook's row.
SET LOCAL ROLE ccb_definer;
CREATE OR REPLACE FUNCTION settle_webhook_deliveries() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF NEW.deleted_at IS NOT NULL THEN
        UPDATE webhook_deliveries AS delivery SET status = 'cancelled'
        FROM (
            SELECT id, created_at FROM webhook_deliveries
            WHERE organization_id = NEW.organization_id AND webhook_id = NEW.id AND status = 'held'
            FOR NO KEY UPDATE SKIP LOCKED
        ) AS held
        WHERE delivery.id = held.id AND delivery.created_at = held.created_at;
    END IF;
    UPDATE webhook_deliveries AS delivery SET status = CASE WHEN NEW.deleted_at IS NULL THEN 'held' ELSE 'cancelled' END
    FROM (
        SELECT id, created_at FROM webhook_deliveries
        WHERE organization_id = NEW.organization_id AND webhook_id = NEW.id AND status = 'pending'
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS waiting
    WHERE delivery.id = waiting.id AND delivery.created_at = waiting.created_at;
    RETURN NULL;
END
$$;
SET LOCAL ROLE ccb_owner;
