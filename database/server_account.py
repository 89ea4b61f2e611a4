"""Whom PostgreSQL runs as. It refuses to run as root, so root hands it to an unprivileged user that exists.

Nothing that is not ours changes for that: no user is made and no directory's mode is loosened. A data directory
below one that the user may not traverse (/root) is entered by being the working directory, which is inherited
(see :mod:`database.embedded`); programs out of reach are copied once to a cache that everybody may read.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from database.binaries import WHEEL, Installation, installation_at

CACHE = Path("/var/cache/claude-code-bot")
ACCOUNTS = ("postgres", "nobody")

# What only building extensions against the server needs.
_UNUSED = shutil.ignore_patterns("include", "pkgconfig", "pgxs", "*.a", "__pycache__")


class ServerAccountError(Exception):
    """There is no user PostgreSQL could run as, or that user cannot run its programs."""


@dataclass(frozen=True)
class Account:
    """An unprivileged user of this machine."""

    name: str
    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Make a file or directory, and everything below it, belong to the account."""
        for directory, directories, files in os.walk(path):
            for name in (*directories, *files):
                os.chown(os.path.join(directory, name), self.uid, self.gid, follow_symlinks=False)  # noqa: PTH118
        os.chown(path, self.uid, self.gid, follow_symlinks=False)


def server_account(data_dir: Path | None = None) -> Account | None:
    """The account to run PostgreSQL as, or None when the current one will do, which is so unless it is root.

    :param data_dir: an existing data directory goes on with the user that owns it.
    :raises ServerAccountError: the machine has no suitable user.
    """
    if os.geteuid() != 0:
        return None
    if data_dir is not None and data_dir.exists() and (owner := other_owner(data_dir)):
        return owner
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise ServerAccountError(f"PostgreSQL refuses to run as root, and none of the users {', '.join(ACCOUNTS)} exists")


def other_owner(path: Path) -> Account | None:
    """The user that root leaves what it makes there to, who would otherwise be shut out of it.

    :return: None where the current user is not root, or the file or directory is root's own.
    """
    status = path.stat()
    if os.geteuid() != 0 or status.st_uid == 0:
        return None
    return Account(user_name(status.st_uid), status.st_uid, status.st_gid)


def user_name(uid: int) -> str:
    """The name of a user, or its number when it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def within_reach(installation: Installation, account: Account | None) -> Installation:
    """The installation itself when the account can run it, otherwise a copy that it can run.

    The copy is made once for each version of the wheel, belongs to root and is written by nobody else.

    :raises ServerAccountError: the account can run neither.
    """
    if account is None or _can_run(installation, account):
        return installation
    if not installation.bundled:
        raise ServerAccountError(f"the user {account.name} cannot run {installation}; install it where everybody may")
    home = installation.bin.parent
    try:
        copied = _copy(home.parent.parent, [home.relative_to(home.parent.parent), Path(f"{WHEEL}.libs")])
    except OSError as error:
        raise ServerAccountError(
            f"the user {account.name} cannot reach {installation}, and no copy could be made: {error}"
        ) from error
    copy = installation_at(copied / home.relative_to(home.parent.parent) / "bin", bundled=True)
    if copy is None or not _can_run(copy, account):
        raise ServerAccountError(f"the user {account.name} can run neither {installation} nor its copy in {copied}")
    return copy


def _can_run(installation: Installation, account: Account) -> bool:
    try:
        answer = subprocess.run(
            [installation.bin / "initdb", "--version"],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            env={"LC_ALL": "C"},
            capture_output=True,
        )
    except PermissionError:
        return False
    return answer.returncode == 0


def _copy(site_packages: Path, parts: Iterable[Path]) -> Path:
    # The places relative to each other stay as they are in site-packages: the programs find their libraries by them.
    parts = list(parts)
    target = CACHE / f"{WHEEL}-{version(WHEEL)}-{parts[0].name}"
    if not target.exists():
        _make_cache()
        unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=CACHE))
        try:
            for part in parts:
                if (site_packages / part).exists():
                    shutil.copytree(site_packages / part, unfinished / part, symlinks=True, ignore=_UNUSED)
            _let_everybody_read(unfinished)
            try:
                unfinished.rename(target)
            except OSError:  # another start was faster
                if not target.exists():
                    raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    _expect_ours(target)
    return target


def _make_cache() -> None:
    CACHE.mkdir(mode=0o755, exist_ok=True)
    _expect_ours(CACHE)
    CACHE.chmod(0o755)  # mkdir obeys the umask


def _let_everybody_read(tree: Path) -> None:
    tree.chmod(0o755)
    for path in tree.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)


def _expect_ours(directory: Path) -> None:
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != 0 or status.st_mode & 0o022:
        raise PermissionError(f"{directory} should be a directory that only root can write to")
