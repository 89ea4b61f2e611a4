"""Which addresses may be reached: public ones, and what the operator allows besides.

The refused ranges are those of the IANA special-purpose address registries (RFC 6890 and its updates) as of 2026, and
platform addresses that look public. Python's `is_global` is not used: what it says differs between patch releases.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_REFUSED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network, unspecified
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carrier-grade NAT; Alibaba's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's platform service
        "169.254.0.0/16",  # link-local; the metadata services of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocol assignments; Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# Only global unicast is reachable at all; these parts of it are not.
_GLOBAL_V6 = IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
# These hold an IPv4 address in their last 32 bits and reach it: mapped, and NAT64 (RFC 6052).
_CARRIES_V4 = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))


class AddressRules:
    """Tells addresses that may be reached from those that may not.

    :param allowed: networks that may be reached although they are not public, in CIDR notation.
    :raises ValueError: one of them is no network.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed: tuple[Network, ...] = tuple(ip_network(each) for each in allowed)
        self._judged = lru_cache(4096)(self._judge)  # of the same address always the same

    def permit(self, text: str) -> bool:
        """Whether an address may be reached.

        :param text: an IPv4 or IPv6 address, with or without a zone (`fe80::1%eth0`).
        :raises ValueError: it is no address.
        """
        return self._judged(text)

    def _judge(self, text: str) -> bool:
        address = _without_zone(ip_address(text))
        if any(address in network for network in self._allowed if network.version == address.version):
            return True
        if isinstance(address, IPv6Address):
            carried = carried_v4(address)
            if carried is not None:
                return self.permit(str(carried))
            return address in _GLOBAL_V6 and not any(address in network for network in _REFUSED_V6)
        return not any(address in network for network in _REFUSED_V4)


def carried_v4(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a mapped or NAT64 address leads to."""
    if any(address in network for network in _CARRIES_V4):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _without_zone(address: Address) -> Address:
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return IPv6Address(int(address))
    return address
