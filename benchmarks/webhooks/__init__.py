"""Webhook deliveries under measurement, and under fire."""
