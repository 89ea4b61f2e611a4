"""States of a service that the operators' page is looked at in."""

from __future__ import annotations

from operations.accounts import set_permission
from tests.conftest import Database
from tests.service import Person, Service
from tests.sql.statements import named_statements
from tests.web.specimens import webhook


def operator(service: Service, *permissions: str) -> Person:
    """Somebody who has been given an operator's permissions on the command line."""
    person = service.person("Operator")
    for permission in permissions or ("operations:read", "operations:run"):
        set_permission(service.database.admin_url, person.email, permission, True)
    return person


def arrange(database: Database, *names: str) -> None:
    """Put a database into states out of operations_states.sql."""
    texts = named_statements("operations_states")
    with database.admin() as admin:
        for name in names:
            admin.execute(texts[name])


def busy(service: Service) -> None:
    """A service that has done well for two weeks."""
    arrange(service.database, "two_weeks", "growing", "maintained", "backed_up")


def in_trouble(service: Service, person: Person) -> None:
    """The same, with much that is wrong.

    :param person: whose webhooks fail.
    """
    for host in ("hooks.acme.example", "api.partner.example", "hooks.acme.example:8443"):
        webhook(person, url=f"https://{host}/services/a-secret-path")
    with service.database.admin() as admin:
        admin.execute("CREATE INDEX idx_integrations_unfinished ON integrations (repository_url)")
        last = admin.execute(
            "SELECT partition FROM partition_ranges('metrics') WHERE is_month AND lower_bound ="
            " date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'"
        ).fetchone()
        assert last is not None
        admin.execute(f"DROP TABLE {last['partition']}")
        admin.execute("SELECT cover_gaps('metrics')")
        admin.execute(
            "INSERT INTO metrics (metric_name, metric_type, value) SELECT 'load', 'gauge', n"
            " FROM generate_series(1, 40) AS n"
        )
    arrange(
        service.database,
        "two_weeks", "growing", "going_wrong", "queued", "failing", "switched_off", "unmaintained", "unfinished_index",
    )  # fmt: skip
