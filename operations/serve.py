"""What `bin/serve` runs: the embedded PostgreSQL, the web processes and the worker under one supervisor."""

from __future__ import annotations

import errno
import fcntl
import http.client
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn, Protocol

import psycopg

from config import ROOT, ConfigurationError, Settings
from database.embedded import EmbeddedServer, EmbeddedServerError
from database.migrations import MigrationError
from operations.secret_keys import with_secret_keys
from operations.service_process import RestartPause, ServiceProcess

WEB = (sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app")
WORKER = (sys.executable, "-m", "flask", "--app", "cli", "worker")

OLDEST_POSTGRESQL = 15
READY_TIMEOUT = 120.0  # seconds
STOP_TIMEOUT = 35.0  # a little more than gunicorn gives its own workers
PORT_TIMEOUT = 3.0  # the web processes of a supervisor that was killed need a moment to leave
LOOK_EVERY = 0.5

_LOGINS = (
    "database_url",
    "service_database_url",
    "worker_database_url",
    "maintenance_database_url",
    "backup_database_url",
)


class LoginUrls(Protocol):
    """The logins that the web processes, the worker and backups use."""

    @property
    def service(self) -> str: ...

    @property
    def worker(self) -> str: ...

    @property
    def backup(self) -> str: ...

    @property
    def maintenance(self) -> str: ...


class ServeError(Exception):
    """The service cannot run; the message says why in one line."""


class StopRequested(BaseException):
    """The first SIGINT, SIGTERM or SIGHUP."""


class StopForced(BaseException):
    """A second one, while everything is being stopped."""


class StopSignals:
    """Turns the signals that ask to stop into exceptions, each at most once."""

    def __init__(self) -> None:
        self._next: type[BaseException] | None = StopRequested
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> StopSignals:
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN:  # nohup has it ignored
                self._before[each] = signal.signal(each, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def stopping(self) -> None:
        """From now on everything is being stopped: the next signal forces it."""
        if self._next is StopRequested:
            self._next = StopForced

    def _handle(self, number: int, frame: FrameType | None) -> None:
        raised = self._next
        self._next = StopForced if raised is StopRequested else None
        if raised is not None:
            raise raised


def prepare_database(admin_url: str, settings: Settings) -> LoginUrls:
    """Migrate, make the roles, load the demo tenant on the first start; returns the logins to run with."""
    from database.provision import provision
    from operations.demo import load_demo
    from operations.pg_cron import register

    logins = provision(admin_url, settings)
    register(admin_url, settings)
    load_demo(logins.service, settings)
    return logins


def serve(
    settings: Settings,
    *,
    prepare: Callable[[str, Settings], LoginUrls] = prepare_database,
    web: Sequence[str] = WEB,
    worker: Sequence[str] = WORKER,
) -> int:
    """Run the service until SIGINT, SIGTERM or SIGHUP; a second one stops without waiting.

    :param prepare: readies the database behind an administrator's login and returns the logins to run with.
    :param web: the command of the web server, which answers /readyz on HOST:PORT.
    :param worker: the command of the background worker.
    :returns: the exit status: 0 after a requested stop, 2 when the configuration is wrong, 1 after other failures.
    """
    supervisor = Supervisor(settings, prepare, web, worker)
    logging.getLogger("psycopg").addHandler(logging.NullHandler())  # of connections that a signal interrupts
    with StopSignals() as signals:
        try:
            try:
                supervisor.start()
                supervisor.announce()
                supervisor.watch()
            except StopRequested:
                _say("stopping")
                raise
            finally:
                signals.stopping()
                supervisor.stop()
        except StopRequested:
            return 0
        except StopForced:
            _say("stopped without waiting")
            return 1
        except ConfigurationError as error:
            _say(str(error))
            return 2
        except (ServeError, EmbeddedServerError, MigrationError, psycopg.Error, OSError) as error:
            _say(" ".join(str(error).split()))
            return 1
        finally:
            supervisor.stop(immediate=True)  # what is still there: nothing, unless the stop was forced


class Supervisor:
    """The database, the web processes and the worker: started in this order, stopped in the opposite one."""

    def __init__(
        self,
        settings: Settings,
        prepare: Callable[[str, Settings], LoginUrls],
        web: Sequence[str],
        worker: Sequence[str],
    ) -> None:
        self._settings = replace(
            settings,
            data_dir=ROOT / settings.data_dir,
            log_dir=settings.log_dir and ROOT / settings.log_dir,
            backup_dir=settings.backup_dir and ROOT / settings.backup_dir,
            wal_archive_dir=settings.wal_archive_dir and ROOT / settings.wal_archive_dir,
        )
        self._prepare = prepare
        self._commands = {"web": web, "worker": worker}
        self._database: EmbeddedServer | None = None
        self._database_pause = RestartPause()
        self._database_ended = False
        self._processes: list[ServiceProcess] = []
        self._lock: IO[str] | None = None

    def start(self) -> None:
        """Start everything and wait until the service answers that it is ready.

        :raises ConfigurationError: the settings cannot work; the message names the variable.
        :raises ServeError, EmbeddedServerError: something does not start.
        """
        settings = self._settings
        _make_directory("DATA_DIR", settings.data_dir)
        self._lock = lock_data_dir(settings.data_dir)
        _expect_free_port(settings.host, settings.port)
        _make_directory("LOG_DIR", settings.logs)
        self._settings = settings = with_secret_keys(settings)
        if settings.database_url:
            admin_url = settings.database_url
            _expect_database(admin_url)
        else:
            self._database = embedded_server(settings)
            admin_url = self._database.start()
            self._database_pause.started()
        logins = self._prepare(admin_url, settings)
        environment = _environment(settings)
        for name, own_logins in (
            ("web", {"SERVICE_DATABASE_URL": logins.service}),
            ("worker", _for_the_worker(settings, logins)),
        ):
            own = {**environment, **own_logins}
            each = ServiceProcess(name, self._commands[name], own, ROOT, settings.logs / f"{name}.log")
            each.limit_log()
            self._processes.append(each)
            each.start()
        self._await_ready()

    def announce(self) -> None:
        """Print where the documentation is and the demo tenant's API key."""
        settings = self._settings
        lines = [f"Claude Code Bot is ready at {settings.base_url}", f"  Documentation  {settings.base_url}/docs"]
        demo_file = settings.data_dir / "demo.json"
        if demo_file.exists():
            demo = json.loads(demo_file.read_text())
            lines += [f"  Demo API key   {demo['api_key']}", f"  Demo tenant    {demo_file}"]
        lines += [f"  Logs           {settings.logs}", "Ctrl-C stops it."]
        print("\n".join(lines), flush=True)

    def watch(self) -> NoReturn:
        """Start again whatever ends, for as long as no signal interrupts."""
        while True:
            self._revive_database()
            for each in self._processes:
                each.limit_log()
                if how := each.ended():
                    _say(f"{each.name} ended with {how}; starting it again in {each.pause.ended():.0f} s ({each.log})")
                if each.pid is None and each.pause.is_over():
                    each.start()
            time.sleep(LOOK_EVERY)

    def stop(self, *, immediate: bool = False) -> None:
        """Stop the web processes, then the worker, then the database. Does nothing when they are stopped.

        :param immediate: without waiting for what they are doing.
        """
        for each in self._processes:
            each.stop(0 if immediate else STOP_TIMEOUT)
        if self._database is not None:
            self._database.stop(immediate=immediate)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _await_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT
        while not _is_ready(self._settings.host, self._settings.port):
            for each in self._processes:
                if how := each.ended():
                    end = each.last_line()
                    raise ServeError(f"{each.name} ended with {how} before it was ready; {each.log} ends: {end}")
            if time.monotonic() > deadline:
                raise ServeError(f"the service was not ready after {READY_TIMEOUT:.0f} s; see {self._settings.logs}")
            time.sleep(0.1)

    def _revive_database(self) -> None:
        if self._database is None or self._database.pid is not None:
            return
        if not self._database_ended:
            self._database_ended = True
            _say(f"PostgreSQL ended; starting it again in {self._database_pause.ended():.0f} s")
        elif self._database_pause.is_over():
            try:
                self._database.start()
            except EmbeddedServerError as error:
                _say(f"{error}; trying again in {self._database_pause.ended():.0f} s")
            else:
                self._database_ended = False
                self._database_pause.started()


def embedded_server(settings: Settings, **server_settings: str) -> EmbeddedServer:
    """The server of a DATA_DIR; it archives its log where WAL_ARCHIVE_DIR is set."""
    archive = settings.wal_archive_dir and settings.wal_archive_dir / "wal"
    return EmbeddedServer(settings.data_dir / "postgresql", settings=server_settings, archive=archive)


def _for_the_worker(settings: Settings, logins: LoginUrls) -> Mapping[str, str]:
    """Its logins; that of backups where it makes them, which by default is for the embedded database only."""
    own = {"WORKER_DATABASE_URL": logins.worker, "MAINTENANCE_DATABASE_URL": logins.maintenance}
    folder = settings.backup_dir or (None if settings.database_url else settings.data_dir / "backups")
    return own if folder is None else {**own, "BACKUP_DATABASE_URL": logins.backup, "BACKUP_DIR": str(folder)}


def _environment(settings: Settings) -> Mapping[str, str]:
    """The settings as environment variables on top of our own, without any database login."""
    environment = dict(os.environ)
    for each in fields(settings):
        value = getattr(settings, each.name)
        text = ",".join(value) if isinstance(value, tuple) else "" if value is None else str(value)
        environment.pop(each.name.upper(), None)
        if text and each.name not in _LOGINS:
            environment[each.name.upper()] = text
    return environment


def _make_directory(variable: str, directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{variable}: {directory} cannot be made: {error.strerror}") from error


def lock_data_dir(data_dir: Path) -> IO[str]:
    """Have a data directory for oneself for as long as the file is open.

    :raises ServeError: a running bin/serve has it.
    :raises ConfigurationError: it cannot be written to.
    """
    path = data_dir / "serve.lock"
    try:
        lock = path.open("a+")
    except OSError as error:
        raise ConfigurationError(f"DATA_DIR: {path} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip()
        lock.close()
        raise ServeError(f"{data_dir} is in use by a running bin/serve (process {holder}); stop it first") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _expect_free_port(host: str, port: int) -> None:
    if not 0 < port < 65536:
        raise ConfigurationError(f"PORT should be between 1 and 65535, not {port}")
    deadline = time.monotonic() + PORT_TIMEOUT
    while True:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
            return
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise ServeError(
                    f"cannot listen on {host} port {port}: {error.strerror}; HOST and PORT choose another"
                ) from error
        time.sleep(0.1)


def _expect_database(url: str) -> None:
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            version = connection.info.server_version // 10000
    except psycopg.ProgrammingError:  # its message may quote the password
        raise ConfigurationError("DATABASE_URL is not a PostgreSQL connection URL") from None
    except psycopg.OperationalError as error:
        raise ServeError(f"DATABASE_URL: {error}") from error
    if version < OLDEST_POSTGRESQL:
        raise ServeError(f"DATABASE_URL: PostgreSQL {OLDEST_POSTGRESQL} or later is needed, this is {version}")


def _is_ready(host: str, port: int) -> bool:
    anywhere = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
    connection = http.client.HTTPConnection(anywhere.get(host, host), port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _say(message: str) -> None:
    print(f"bin/serve: {message}", file=sys.stderr, flush=True)
