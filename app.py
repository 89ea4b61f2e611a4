"""The application: the whole wiring."""

from __future__ import annotations

from flask import Flask
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix

from blueprints import (
    api_keys,
    audit_logs,
    auth,
    email_addresses,
    event_types,
    events,
    health,
    hooks,
    integration_dependencies,
    integration_executions,
    integration_health_checks,
    integration_templates,
    integration_versions,
    integrations,
    invitations,
    me,
    members,
    metrics,
    operations,
    operators_page,
    organizations,
    passwords,
    permissions,
    schedules,
    webhook_deliveries,
    webhooks,
    workflow_executions,
    workflow_steps,
    workflow_versions,
    workflows,
)
from config import Settings
from database import Pool
from security.encryption import Cipher
from web import documentation, logs, monitoring, problems
from web.answers import EXPOSED_HEADERS
from web.application import Application
from web.event_streams import EventStreams

RESOURCES = (
    auth, email_addresses, passwords, me, organizations, members, invitations,
    integrations, integration_versions, integration_dependencies, integration_templates, integration_executions,
    integration_health_checks,
    workflows, workflow_versions, workflow_executions, workflow_steps, schedules,
    webhooks, webhook_deliveries, event_types, hooks,
    api_keys, permissions, events, audit_logs, metrics, operations,
)  # fmt: skip


def create_app(settings: Settings | None = None) -> Flask:
    """Make the application.

    :param settings: by default they are read from the environment.
    :raises config.ConfigurationError: the environment holds something that cannot be started with.
    """
    settings = settings or Settings.from_environment()
    settings.require_keys()
    app = Application(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.extensions["settings"] = settings
    app.extensions["pool"] = Pool(settings.service_database_url, settings)
    app.extensions["event_streams"] = EventStreams(settings.service_database_url, settings)
    app.extensions["cipher"] = Cipher(settings.encryption_keys)
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]

    if settings.cors_origins:
        CORS(app, origins=list(settings.cors_origins), expose_headers=EXPOSED_HEADERS, max_age=600)
    logs.register(app)
    monitoring.register(app)
    problems.register(app)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(operators_page.blueprint)
    documentation.register(app, [resource.blueprint for resource in RESOURCES])
    return app
