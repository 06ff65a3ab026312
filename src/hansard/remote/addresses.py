"""Which addresses may be connected to on behalf of whoever gave a URL: the public internet's, and what is on a list.

Sources: IANA's special-purpose address registries for IPv4 and IPv6. `ipaddress.is_global` is not asked, since it calls
addresses global that lead inside by translation (NAT64, 6to4), or that its Python version is too old to know.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NOT_PUBLIC_IPV4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by a provider's customers; Alibaba's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's metadata
        "169.254.0.0/16",  # link-local; metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)

_PUBLIC_IPV6 = IPv6Network("2000::/3")
"""All that is routed globally. Loopback, private, link-local, IPv4-mapped and NAT64 addresses are outside of it."""

_NOT_PUBLIC_IPV6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "3fff::/20",  # documentation
    )
)


def is_public(address: Address) -> bool:
    """Whether the address is a single host's on the public internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_IPV4)
    return address in _PUBLIC_IPV6 and not any(address in network for network in _NOT_PUBLIC_IPV6)


@dataclass(frozen=True, slots=True)
class AllowList:
    """Hosts and networks that an operator lets be fetched from though they are not public."""

    hosts: frozenset[str]
    networks: tuple[Network, ...]

    @classmethod
    def of(cls, entries: Iterable[str]) -> "AllowList":
        """Each entry is a host's name, an address, or a network such as 192.168.1.0/24."""
        hosts: set[str] = set()
        networks: list[Network] = []
        for entry in entries:
            try:
                networks.append(ip_network(entry.strip("[]"), strict=False))
            except ValueError:
                hosts.add(_normal(entry))
        return cls(frozenset(hosts), tuple(networks))

    def names(self, host: str) -> bool:
        return _normal(host) in self.hosts

    def holds(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def parse(text: str) -> Address:
    """An address as the resolver writes it."""
    return ip_address(text)


def _normal(host: str) -> str:
    return host.rstrip(".").casefold()
