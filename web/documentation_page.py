"""The documentation page: Swagger UI on /openapi.json, with everything it loads served from here."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from flask import Blueprint, Response, abort, send_from_directory

# The package carries swagger-ui-dist of the same version; its own page has inline scripts, ours has none.
_PACKAGE = find_spec("flask_swagger_ui")
_DIST = Path(_PACKAGE.origin or "").parent / "dist" if _PACKAGE else Path()
STATIC = Path(__file__).parent / "static"
_ASSETS = {
    "swagger-ui.css": _DIST,
    "swagger-ui-bundle.js": _DIST,
    "favicon-32x32.png": _DIST,
    "documentation.css": STATIC,
    "documentation.js": STATIC,
}

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Claude Code Bot control plane</title>
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="stylesheet" href="docs/documentation.css">
</head>
<body>
<div id="documentation"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/documentation.js"></script>
</body>
</html>
"""

HEADERS = {
    # Swagger UI draws its icons as data: images and sets style attributes; nothing comes from elsewhere
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

blueprint = Blueprint("documentation", __name__, url_prefix="/docs")


@blueprint.get("")
def page() -> Response:
    """The page itself."""
    return Response(PAGE, headers={**HEADERS, "Cache-Control": "no-cache"}, content_type="text/html; charset=utf-8")


@blueprint.get("/<name>")
def asset(name: str) -> Response:
    """What the page loads."""
    if name not in _ASSETS:
        abort(404)
    answer = send_from_directory(_ASSETS[name], name, max_age=3600)
    answer.headers.update(HEADERS)
    return answer
