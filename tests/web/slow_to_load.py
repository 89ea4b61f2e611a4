"""An application that is not loaded for as long as a file exists that the test names."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from tests.web.served_application import app

__all__ = ["app"]

while Path(os.environ["TEST_HOLDS_UP_LOADING"]).exists():
    threading.Event().wait(0.01)
