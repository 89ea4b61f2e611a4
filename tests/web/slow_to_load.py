"""An application that is not loaded for as long as a file exists that the test names."""

from __future__ import annotations

import os
import threading

from tests.web.served_application import app

__all__ = ["app"]

while os.path.exists(os.environ["TEST_HOLDS_UP_LOADING"]):
    threading.Event().wait(0.01)
