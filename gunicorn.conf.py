"""gunicorn's settings. Why gevent and so few database connections: docs/performance.md."""

from config import Settings

settings = Settings.from_environment()

bind = f"{settings.host}:{settings.port}"
worker_class = "gevent"
workers = settings.web_workers
worker_connections = settings.web_connections
keepalive = 75
timeout = 60
graceful_timeout = 20
# the line that is read into memory before the application sees anything
limit_request_line = 8190
accesslog = None
loglevel = "warning"
# loaded in each worker after the fork: database connections do not survive one
preload_app = False
