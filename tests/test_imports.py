"""The arrows of the layout, read from the imports: each package knows only what its place lets it know."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from config import ROOT

PACKAGES = {
    "blueprints", "database", "operations", "outbound", "repositories", "schemas", "security", "web", "worker",
    "workflow",
}  # fmt: skip
MODULES = {"app", "cli", "config", "errors", "logs", "wsgi"}
OURS = PACKAGES | MODULES

# who → which of ours it may import, beside itself
ARROWS = {
    "config": set(),
    "errors": set(),
    "logs": set(),
    "security": set(),
    "outbound": set(),
    "workflow": {"errors"},
    "database": {"config", "errors"},
    "repositories": {"database", "errors"},
    "schemas": set(),
    "web": {"config", "database", "errors", "logs", "repositories", "schemas", "security", "workflow"},
    "blueprints": {"database", "errors", "repositories", "schemas", "security", "web"},
    "worker": {
        "config",
        "database",
        "errors",
        "logs",
        "outbound",
        "repositories",
        "security",
        "workflow",
        "operations",
    },
    "operations": {"config", "database", "errors", "logs", "outbound", "repositories", "security", "workflow"},
}  # fmt: skip

# who → libraries that it must not know
KEPT_OUT = {
    "config": None,  # the standard library only
    "errors": None,
    "logs": {"flask", "flask_smorest", "psycopg", "psycopg_pool", "werkzeug"},
    "security": {"flask", "flask_smorest", "marshmallow", "psycopg", "psycopg_pool", "werkzeug"},
    "outbound": {"flask", "flask_smorest", "marshmallow", "psycopg", "psycopg_pool", "werkzeug"},
    "workflow": {"flask", "flask_smorest", "marshmallow", "psycopg", "psycopg_pool", "werkzeug"},
    "database": {"flask", "flask_smorest", "marshmallow", "werkzeug"},
    "repositories": {"flask", "flask_smorest", "marshmallow", "psycopg", "psycopg_pool", "werkzeug"},
    "schemas": {"flask", "flask_smorest", "psycopg", "psycopg_pool", "werkzeug"},
    "web": {"psycopg", "psycopg_pool"},
    "blueprints": {"psycopg", "psycopg_pool", "marshmallow"},
    "worker": {"flask", "flask_smorest", "werkzeug"},
    "operations": {"flask", "flask_smorest", "werkzeug"},
}

# what handlers take from the database: the way in, and the type of what comes back
HANDLERS_TAKE = {"statement", "transaction", "Row"}


def imports(path: Path) -> list[tuple[str, list[str]]]:
    """What a file imports: each module with the names taken from it."""
    found: list[tuple[str, list[str]]] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where things come from"
            found.append((node.module or "", [alias.name for alias in node.names]))
    return found


def sources() -> list[Path]:
    """The product's files that the arrows bind."""
    return sorted(path for name in ARROWS for path in [*ROOT.glob(f"{name}.py"), *ROOT.glob(f"{name}/**/*.py")])


def place(path: Path) -> str:
    """The package or module that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


each_source = pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))


def test_every_package_has_its_arrows() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert packages <= ARROWS.keys()
    assert ARROWS.keys() == KEPT_OUT.keys()


@each_source
def test_arrows_point_one_way(path: Path) -> None:
    ours = {module.partition(".")[0] for module, _ in imports(path)} & OURS
    assert ours - {place(path)} <= ARROWS[place(path)]


@each_source
def test_libraries_stay_where_they_belong(path: Path) -> None:
    libraries = {module.partition(".")[0] for module, _ in imports(path)} - OURS - sys.stdlib_module_names
    kept_out = KEPT_OUT[place(path)]
    assert not (libraries if kept_out is None else libraries & kept_out)


@pytest.mark.parametrize("package", ["blueprints", "repositories", "schemas"])
def test_resources_do_not_know_their_siblings(package: str) -> None:
    # what all resources of a kind share, schemas that nest or filter others, and the fast half of one
    shared = {
        "repositories": {"repository"},
        "schemas": {"fields", "lists", "mail", "members", "plain_points", "problems"},
        "blueprints": set(),
    }[package]
    for path in ROOT.glob(f"{package}/*.py"):
        siblings = {module.partition(".")[2] for module, _ in imports(path) if module.startswith(f"{package}.")}
        assert siblings <= shared, path


def test_handlers_only_open_transactions() -> None:
    for path in ROOT.glob("blueprints/*.py"):
        for module, names in imports(path):
            if module.partition(".")[0] == "database":
                assert module == "database", path
                assert set(names) <= HANDLERS_TAKE, path


def test_nobody_imports_what_wires_calls_and_exposes() -> None:
    for path in sources():
        assert not {module.partition(".")[0] for module, _ in imports(path)} & {"app", "cli", "wsgi"}, path
    assert "app" not in {module for module, _ in imports(ROOT / "cli.py")}


def test_gunicorn_loads_no_database_before_gevent_has_patched() -> None:
    """Locks that were made of the original classes block the whole process: streams of events never began."""
    listing = "import sys, web.gunicorn_worker; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", listing], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"database", "repositories", "psycopg"} & set(done.stdout.split())
