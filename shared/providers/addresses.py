"""Decides which network addresses a user-named host may have (threat T21: SSRF).

`ipaddress.is_global` alone is not enough: it is true for NAT64 forms of inner addresses, for
`::127.0.0.1` and for multicast, and its tables differ between Python versions. So there is a list
of our own, and both must agree.
"""

import ipaddress
import re
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NOT_PUBLIC_V4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback; Lambda's runtime API is 127.0.0.1:9001
        "169.254.0.0/16",  # link-local; cloud metadata, container credentials, X-Ray
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# Everything outside global unicast falls: ::/96, mapped, NAT64 (64:ff9b::), unique local
# (fd00:ec2::254),
# link-local, multicast. Inside it these fall too.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarking
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4 carries any IPv4 address inside
        "3fff::/20",  # documentation
    )
)
# No setting opens these: they hold a cloud's credentials, or are no host's address at all.
_NEVER: tuple[Network, ...] = (
    ipaddress.IPv4Network("0.0.0.0/8"),
    ipaddress.IPv4Network("169.254.0.0/16"),
    ipaddress.IPv4Network("224.0.0.0/3"),
    ipaddress.IPv6Network("::/128"),
    ipaddress.IPv6Network("fd00:ec2::/32"),
    ipaddress.IPv6Network("fe80::/10"),
    ipaddress.IPv6Network("ff00::/8"),
)
_ENDS_IN_NUMBER = re.compile(r"(?:^|\.)(?:[0-9]+|0[xX][0-9a-fA-F]*)$")


def is_allowed(address: Address, *, private: bool, refused: Iterable[Network] = ()) -> bool:
    """Whether a connection to `address` may be opened.

    `private` admits loopback and private ranges; `refused` are further networks, such as public
    ranges of our own.
    """
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in network for network in (*_NEVER, *refused)):
        return False
    return private or _is_public(address)


def _is_public(address: Address) -> bool:
    # Multicast and reserved are asked apart because is_global has answered true for both.
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return address in _GLOBAL_UNICAST and not any(address in network for network in _NOT_PUBLIC_V6)


def literal_address(host: str) -> Address | None:
    """Return the address `host` spells in its one canonical form, or None for a name.

    Raises ValueError for every other number (`127.1`, `0x7f000001`, `2130706433`, `0177.0.0.1`):
    resolvers read those as addresses, so they are names nobody means well with. A zone
    (`fe80::1%eth0`) is refused too.
    """
    if ":" in host:
        if "%" in host:
            raise ValueError("an address with a zone")
        return ipaddress.IPv6Address(host)
    if _ENDS_IN_NUMBER.search(host):
        return ipaddress.IPv4Address(host)
    return None
