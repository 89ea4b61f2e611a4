"""gunicorn's settings. Why gevent and so few database connections: docs/performance.md."""

import os
import resource
import tempfile
from pathlib import Path
from typing import Any

from config import Settings

settings = Settings.from_environment()

bind = f"{settings.host}:{settings.port}"
worker_class = "web.gunicorn_worker.Worker"
workers = settings.web_workers
# streams of events stay open, and take no place away from requests
worker_connections = settings.web_connections + settings.event_streams_max
keepalive = 75
timeout = 60
graceful_timeout = 20
# the line that is read into memory before the application sees anything
limit_request_line = 8190
# whom to trust with X-Forwarded-Proto is for TRUSTED_PROXIES to say, nowhere else
forwarded_allow_ips = "*"
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
# nobody controls it but its supervisor
control_socket_disable = True
accesslog = None
loglevel = "warning"
# loaded in each worker after the fork: database connections do not survive one
preload_app = False

# where the processes count together for /metrics; the library looks for it when it is imported
_counts = settings.data_dir.absolute() / f"metrics-{settings.port}"
try:
    _counts.mkdir(mode=0o700, parents=True, exist_ok=True)
except OSError:
    _counts = Path(tempfile.mkdtemp(prefix="metrics-"))
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_counts)


def on_starting(server: Any) -> None:
    """Begin to count anew."""
    for each in _counts.glob("*.db"):
        each.unlink()


def child_exit(server: Any, worker: Any) -> None:
    """What a process had open ends with it; what it counted stays."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def post_worker_init(worker: Any) -> None:
    """Let open connections be files enough, and streams know when the process is to stop: they would hold it up."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    streams = worker.wsgi.extensions.get("event_streams")  # which applications of tests and benchmarks lack
    if streams is not None:
        streams.is_process_alive = lambda: worker.alive


def worker_exit(server: Any, worker: Any) -> None:
    """Take down the last counts and give the database connections back before the process ends."""
    if worker.wsgi is not None and "monitoring" in worker.wsgi.extensions:
        worker.wsgi.extensions["monitoring"].sample()
        worker.wsgi.extensions["monitoring"].tell()
    if worker.wsgi is not None and "pool" in worker.wsgi.extensions:
        worker.wsgi.extensions["pool"].close()
