"""What caches between the service and its callers are told."""

from __future__ import annotations

# The same path answers everybody differently, and `"1"` is everybody's first ETag: nothing between the service and
# a caller may take one's answer for another's.
CACHING = [("Cache-Control", "private, no-cache"), ("Vary", "Authorization, X-API-Key")]
