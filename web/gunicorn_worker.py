"""gunicorn's gevent worker, with a leaner way to serve connections and a quicker one to stop."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType, SimpleNamespace
from typing import Any

import gevent
from gevent.event import Event
from gevent.pool import Pool
from gevent.socket import socket
from gunicorn import util
from gunicorn.workers.ggevent import GeventWorker

from config import Settings
from web.http_server import HttpServer
from web.unreadable_requests import write_problem

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

# A new worker has its master's handlers, which only take note, until it sets its own: a signal in between would be
# lost, and the master would wait for nothing. So none arrives before it can be heard.
os.register_at_fork(
    before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING),
    after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING),
)


class Worker(GeventWorker):
    """What `gunicorn.conf.py` names."""

    def init_process(self) -> None:
        """Take up work in the process that was forked for it."""
        util.write_error = write_problem
        super().init_process()

    def init_signals(self) -> None:
        """Hear signals, and first those that came since the fork."""
        self._told_to_stop = Event()
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop as soon as running requests allow: at once while the application is being loaded."""
        super().handle_exit(sig, frame)
        if not self.booted:
            sys.exit(0)
        gevent.get_hub().loop.run_callback_threadsafe(self._told_to_stop.set)

    def load_wsgi(self) -> None:
        """Load the application, which stays for as long as the process."""
        super().load_wsgi()
        from database.memory import settle  # here, for nothing of the database is to be loaded before gevent is

        settle()

    def run(self) -> None:
        """Serve until told to stop; then requests are finished, and what might last longer is ended."""
        settings = SimpleNamespace(**{name: each.get() for name, each in self.cfg.settings.items()})
        settings.is_ssl, settings.forwarded_allow_networks = False, self.cfg.forwarded_allow_networks
        http = HttpServer(self.wsgi, settings, Settings.from_environment().read_timeout, self.handle_error)
        connections = Pool(self.worker_connections)
        listening = [gevent.spawn(self._accept, each, connections, http.serve) for each in self.sockets]
        in_hub = gevent.get_hub().loop.run_callback
        while self.alive:
            self.notify()
            in_hub(http.end_idle)
            self._told_to_stop.wait(1.0)
        gevent.killall(listening)
        for each in self.sockets:
            each.close()
        with gevent.Timeout(self.cfg.graceful_timeout, False):
            while connections:
                in_hub(http.end)
                connections.join(0.5)
                self.notify()
        connections.kill(timeout=1)

    def _accept(self, listener: socket, connections: Pool, serve: Callable[[socket, Any], None]) -> None:
        while True:
            connections.wait_available()
            try:
                client, address = listener.accept()
            except OSError:
                gevent.sleep(0.1)  # too many open files: some will be closed
                continue
            connections.spawn(serve, client, address)
            if self.cfg.workers > 1:
                gevent.sleep(0.001)  # who was first takes only one: the others are about to
