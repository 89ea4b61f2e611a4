"""Names to addresses, in threads of their own: a name server that does not answer holds up nothing else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from aiohttp.abc import AbstractResolver, ResolveResult

THREADS = 256  # begun as needed: more than one organization's names may stand still at a time

# the addresses of a name; raises OSError where there are none
Resolve = Callable[[str], Awaitable[list[str]]]


class Resolver(AbstractResolver):
    """What aiohttp resolves names with.

    :param resolve: in the place of the system's resolver, which honours /etc/hosts and /etc/resolv.conf.
    """

    def __init__(self, resolve: Resolve | None = None) -> None:
        self._resolve = resolve or self._ask_system
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name.

        :raises OSError: it has none.
        """
        addresses = await self._resolve(host)
        if not addresses:
            raise OSError(f"{host} has no address")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Leave what is still being looked up behind."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask_system(self, host: str) -> list[str]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, system_addresses, host)


def system_addresses(host: str) -> list[str]:
    """What the system's resolver says, each address once.

    :raises OSError: the name has no address, or cannot be a name.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except UnicodeError as error:
        raise OSError(f"{host!r} cannot be a name") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
