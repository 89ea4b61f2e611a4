"""The application: the whole wiring."""

from __future__ import annotations

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from blueprints import (
    api_keys,
    audit_logs,
    auth,
    events,
    health,
    integration_dependencies,
    integration_templates,
    integration_versions,
    integrations,
    me,
    members,
    organizations,
    permissions,
)
from config import Settings
from database import Pool
from security.encryption import Cipher
from web import documentation, logs, problems
from web.application import Application

RESOURCES = (
    auth, me, organizations, members,
    integrations, integration_versions, integration_dependencies, integration_templates,
    api_keys, permissions, events, audit_logs,
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
    app.extensions["cipher"] = Cipher(settings.encryption_keys)
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]

    logs.register(app)
    problems.register(app)
    app.register_blueprint(health.blueprint)
    documentation.register(app, [resource.blueprint for resource in RESOURCES])
    return app
