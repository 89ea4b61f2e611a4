"""Which migrations ran."""

from __future__ import annotations

from database import load
from database.migrations import migrations
from repositories.repository import Repository

EXPECTED = migrations()[-1].number


class Migrations(Repository):
    """The schema's age."""

    queries = load("schema_migrations")

    def behind(self) -> int:
        """How many migrations of this program the database lacks; none when it is newer."""
        return max(0, EXPECTED - int(self.connection.one(self.queries.newest)["number"]))
