"""An application for tests of the server itself, with answers that the service does not give."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Iterator

from flask import Flask, Response, request

app = Flask(__name__, static_folder=None)


@app.get("/process")
def process() -> str:
    """Which process answers."""
    return str(os.getpid())


@app.get("/seen")
def seen() -> str:
    """What the application takes the caller for."""
    return f"{request.scheme} from {request.remote_addr}"


@app.post("/length")
def length() -> str:
    """How much was sent."""
    return str(len(request.get_data()))


@app.post("/unread")
def unread() -> str:
    """Answer without a look at the body."""
    return "unread"


@app.get("/large")
def large() -> Response:
    """More than a socket takes at once, in pieces."""
    return Response(iter([b"x" * 4_000_000] * 2), headers={"Content-Length": "8000000"})


@app.get("/three")
def three() -> Response:
    """A stream with an end."""
    return Response(iter(["one ", "", "two ", "three"]))


@app.get("/broken")
def broken() -> Response:
    """A stream that breaks off."""

    def pieces() -> Iterator[str]:
        yield "one "
        raise RuntimeError("the stream broke")

    return Response(pieces())


@app.get("/ticks")
def ticks() -> Response:
    """A stream without an end."""

    def pieces() -> Iterator[str]:
        try:
            for number in itertools.count():
                yield f"{number}\n"
                time.sleep(0.05)
        finally:
            print("the ticks were ended", file=sys.stderr, flush=True)

    return Response(pieces(), content_type="text/event-stream")
