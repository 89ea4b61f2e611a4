"""The other floor: what Flask and gunicorn cost when a route does nothing."""

from flask import Flask, Response

app = Flask(__name__, static_folder=None)


@app.route("/<path:path>", methods=["GET", "POST"])
def empty(path: str) -> Response:
    """Answer without doing anything."""
    return Response("{}", content_type="application/json")
