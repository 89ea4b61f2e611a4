"""gunicorn's settings. Why gevent and so few database connections: docs/performance.md."""

from typing import Any

from config import Settings

settings = Settings.from_environment()

bind = f"{settings.host}:{settings.port}"
worker_class = "web.gunicorn_worker.Worker"
workers = settings.web_workers
worker_connections = settings.web_connections
keepalive = 75
timeout = 60
graceful_timeout = 20
# the line that is read into memory before the application sees anything
limit_request_line = 8190
# nobody controls it but its supervisor
control_socket_disable = True
accesslog = None
loglevel = "warning"
# loaded in each worker after the fork: database connections do not survive one
preload_app = False


def worker_exit(server: Any, worker: Any) -> None:
    """Give the database connections back before the process ends."""
    if worker.wsgi is not None:
        worker.wsgi.extensions["pool"].close()
