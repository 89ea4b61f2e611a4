-- A report writes a delivery anew, and each btree of it: of the eight there were, four served no query of a tenant. What was
-- given up or held has an index of its own, which deliveries that succeed never enter.

DROP INDEX idx_webhook_deliveries_event, idx_webhook_deliveries_status, idx_webhook_deliveries_webhook,
    idx_webhook_deliveries_failed, idx_webhook_deliveries_org_webhook;
CREATE INDEX idx_webhook_deliveries_event ON webhook_deliveries USING brin (event_type);
CREATE INDEX idx_webhook_deliveries_status ON webhook_deliveries USING brin (response_status);
CREATE INDEX idx_webhook_deliveries_webhook ON webhook_deliveries (organization_id, webhook_id, created_at, id);
CREATE INDEX idx_webhook_deliveries_failed ON webhook_deliveries (organization_id, webhook_id, created_at, id)
    WHERE status IN ('exhausted', 'held');

-- By the same indexes, whatever else a webhook has behind it.
SET LOCAL ROLE ccb_definer;
CREATE OR REPLACE FUNCTION settle_webhook_deliveries() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF NEW.deleted_at IS NOT NULL THEN
        UPDATE webhook_deliveries SET status = 'cancelled'
        WHERE organization_id = NEW.organization_id AND webhook_id = NEW.id AND status = 'pending';
        UPDATE webhook_deliveries SET status = 'cancelled'
        WHERE organization_id = NEW.organization_id AND webhook_id = NEW.id AND status = 'held';
    ELSIF NOT NEW.is_active THEN
        UPDATE webhook_deliveries SET status = 'held'
        WHERE organization_id = NEW.organization_id AND webhook_id = NEW.id AND status = 'pending';
    END IF;
    RETURN NULL;
END
$$;
SET LOCAL ROLE ccb_owner;
