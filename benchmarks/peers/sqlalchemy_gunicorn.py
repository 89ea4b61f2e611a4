"""gunicorn's settings for Flask with SQLAlchemy: threads, whose connections block as SQLAlchemy's do."""

import os

bind = f"127.0.0.1:{os.environ['PORT']}"
workers = int(os.environ["WEB_WORKERS"])
worker_class = "gthread"
threads = int(os.environ["POOL_MAX_SIZE"])
keepalive = 75
loglevel = "warning"
control_socket_disable = True
