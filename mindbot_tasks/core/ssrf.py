"""Where an outgoing call may go: a rule for URLs, and one for the addresses they turn out to have.

The second is asked with the very address that is about to be connected to, so a name that changes its address between
the look and the call (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from mindbot_tasks.core.errors import Rejected

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PLAIN_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?\Z")
_NUMERIC_LABEL = re.compile(r"(0x[0-9a-f]*|[0-9]+)\Z")
# prefixes that carry an IPv4 address inside, which the network may unwrap
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_IPV4_COMPATIBLE = ipaddress.IPv6Network("::/96")


def is_public(address: IPAddress) -> bool:
    """Whether this is somebody on the internet, and not ourselves, a neighbour or a cloud's metadata service."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address.sixtofour is not None or address.teredo is not None:
            return False
        if address in _IPV4_COMPATIBLE or any(address in network for network in _NAT64):
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


@dataclass(frozen=True, slots=True)
class Destinations:
    """The places that may be called. `hosts` None: any host; else names, `.suffix` or `name:port`.

    An entry without a port allows only the usual port of http or https.
    """

    hosts: frozenset[str] | None = None
    public_only: bool = True
    schemes: frozenset[str] = frozenset({"https"})

    @classmethod
    def only(
        cls, hosts: Iterable[str], *, public_only: bool = True, schemes: Iterable[str] = ("https",)
    ) -> Destinations:
        """The allow-list mode."""
        return cls(frozenset(host.lower() for host in hosts), public_only, frozenset(schemes))

    def check_url(self, url: str) -> None:
        """Return if this URL may be called. Raises Rejected; the reason never repeats the URL."""
        if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
            raise _refused("has characters that do not belong there")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as exc:
            raise _refused("cannot be read") from exc
        scheme = parts.scheme.lower()
        if scheme not in self.schemes or scheme not in _DEFAULT_PORTS:
            raise _refused("does not use an allowed scheme")
        if not host or "@" in parts.netloc:
            raise _refused("has no plain host")
        self.check_host(host, port or _DEFAULT_PORTS[scheme], usual_port=port in (None, _DEFAULT_PORTS[scheme]))

    def check_host(self, host: str, port: int, *, usual_port: bool) -> None:
        """Return if this host and port may be called. Raises Rejected."""
        host = host.lower()
        address = _literal(host)
        if address is not None:
            self.check_address(address)
        if self.hosts is None:
            return
        name = host.rstrip(".")
        for entry in self.hosts:
            wanted, _, wanted_port = entry.rpartition(":") if _has_port(entry) else (entry, "", "")
            matches = name.endswith(wanted) if wanted.startswith(".") else name == wanted.strip("[]")
            if matches and (wanted_port == str(port) if wanted_port else usual_port):
                return
        raise _refused("names a host that is not on the allow-list")

    def check_address(self, address: IPAddress) -> None:
        """Return if this address may be connected to. Raises Rejected."""
        if self.public_only and not is_public(address):
            raise _refused("leads to an address that is not public")


ANYWHERE = Destinations(public_only=False, schemes=frozenset({"http", "https"}))
"""For URLs that only the operator can write."""

PUBLIC = Destinations()
"""For URLs that others have influence on."""


def _has_port(entry: str) -> bool:
    return entry.rpartition(":")[2].isdigit() and (entry.count(":") == 1 or entry.startswith("["))


def _literal(host: str) -> IPAddress | None:
    """The address a host spells, None for a name. Raises Rejected for spellings that only some resolvers read."""
    if ":" in host:
        try:
            return ipaddress.IPv6Address(host)
        except ValueError as exc:
            raise _refused("has an unreadable address") from exc
    if not _PLAIN_HOST.match(host):
        raise _refused("has an unreadable host")
    # inet_aton also takes 127.1, 0x7f000001, 2130706433 and 0177.0.0.1; whoever writes those is hiding something
    if _NUMERIC_LABEL.match(host.rstrip(".").rpartition(".")[2]):
        try:
            return ipaddress.IPv4Address(host)
        except ValueError as exc:
            raise _refused("has an address in an odd form") from exc
    return None


def _refused(why: str) -> Rejected:
    return Rejected(f"this URL {why}", kind="invalid_request", code="destination")
