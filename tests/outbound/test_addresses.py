"""What may be reached and what may not."""

from __future__ import annotations

import pytest

from outbound import AddressRules

PUBLIC = [
    "8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1",
    "223.255.255.255", "2606:4700:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
]  # fmt: skip
REFUSED = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254",
    "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1",
    "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::8.8.8.8", "100::1", "2001::1", "2001:0:7f00:1::",
    "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254",
    "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_reached(address: str) -> None:
    assert AddressRules().permit(address)


@pytest.mark.parametrize("address", REFUSED)
def test_others_are_not(address: str) -> None:
    assert not AddressRules().permit(address)


def test_what_the_operator_allows_is_reached_in_every_form() -> None:
    rules = AddressRules(["10.1.0.0/16", "fd00:1::/32"])
    assert all(map(rules.permit, ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd00:1::5", "8.8.8.8"]))
    assert not any(map(rules.permit, ["10.2.0.1", "::ffff:10.2.0.1", "fd00:2::1", "127.0.0.1"]))


def test_a_range_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="has host bits set"):
        AddressRules(["10.0.0.1/8"])
