"""gunicorn's gevent worker, sending an answer in one piece."""

from __future__ import annotations

import gc
from typing import Any

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.workers.ggevent import GeventWorker

from web.unreadable_requests import write_problem


class Answer(wsgi.Response):
    """gunicorn sends the head of an answer, then its body; each would wake the client, and cost a system call."""

    headers_sent: bool
    _head = b""

    def send_headers(self) -> None:
        """Keep the head until there is something of the body, or nothing more to come."""
        if not self.headers_sent:
            lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers)]
            self._head = "".join([*lines, "\r\n"]).encode("latin-1")
            self.headers_sent = True

    def _emit_body(self, data: bytes) -> None:
        if self.chunked:
            self._send_head()
            super()._emit_body(data)
        else:
            head, self._head = self._head, b""
            util.write(self.sock, head + data)

    def sendfile(self, respiter: Any) -> bool:
        """Files are not sent from here, so the head never waits for one."""
        return False

    def close(self) -> None:
        """Send what was kept."""
        self.send_headers()
        self._send_head()
        super().close()

    def _send_head(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            util.write(self.sock, head)


class Worker(GeventWorker):
    """What `gunicorn.conf.py` names."""

    def init_process(self) -> None:
        """Take up work in the process that was forked for it."""
        wsgi.Response = Answer
        util.write_error = write_problem
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the application, and keep what lives as long as the process out of the garbage collector's rounds."""
        super().load_wsgi()
        gc.collect()
        gc.freeze()
