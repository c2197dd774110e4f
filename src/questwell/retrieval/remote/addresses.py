"""Decides by an explicit list which IP addresses are on the open internet.

Python's `is_global` is not strict enough: it accepts internal addresses of clouds and tunnels into private networks.
"""

import ipaddress

_NOT_V4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",
            "100.64.0.0/10",  # carriers; Alibaba's metadata is 100.100.100.200
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's own services
            "169.254.0.0/16",  # link-local; metadata of most clouds
            "172.16.0.0/12",
            "192.0.0.0/24",  # protocol assignments; Oracle's metadata is 192.0.0.192
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarks of networks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
"""IPv4 networks that are not public: IANA's special-purpose registry of November 2026 and addresses of clouds."""
_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")
"""The IPv6 range that IANA assigns as global; fec0::/10, fc00::/7, fe80::/10, 64:ff9b:1::/48, 100::/64 are outside."""
_NOT_V6 = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: leads to an IPv4 address
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv6 addresses for IPv4 hosts in networks without IPv4; the last 32 bits are the IPv4 address."""


def is_public(address: str) -> bool:
    """Whether an IP address is on the open internet: not private, local, reserved, or a tunnel to such an address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:
            ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        else:
            return ip in _UNICAST_V6 and not any(ip in network for network in _NOT_V6)
    return not any(ip in network for network in _NOT_V4)
