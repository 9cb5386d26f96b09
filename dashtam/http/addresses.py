"""Where the client may go: https to a name, and no address but a public one."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import unquote

from dashtam.http.errors import Refused

HTTPS_PORT: Final = 443
MAX_HOST_LENGTH: Final = 253
_DEFAULT_PORTS = {"http": 80, "https": HTTPS_PORT}

# IANA's special-purpose registries; the standard library's idea of them differs by its version.
# The last one is public by its number and reaches the machine's own cloud.
_NOT_PUBLIC_V4 = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
    192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24
    198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 168.63.129.16/32
"""
# Everything else of IPv6 is local, mapped, compatible, NAT64, multicast or not given out.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
# Teredo and the protocols beside it, documentation, 6to4, the old 6bone.
_NOT_PUBLIC_V6 = "2001::/23 2001:db8::/32 2002::/16 3ffe::/16 3fff::/20"
_NOT_PUBLIC = [ip_network(text) for text in f"{_NOT_PUBLIC_V4} {_NOT_PUBLIC_V6}".split()]
_ISATAP = 0x5EFE
_ISATAP_MASK = 0xFCFFFFFF

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<netloc>(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?)"
    r"(?P<path>/.*)?",
    re.ASCII | re.IGNORECASE,
)
# A top-level domain begins with a letter: 0x7f.1, 0177.0.0.1 and 2130706433 are no names.
_NAME = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])", re.ASCII
)
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Origin:
    """One server: its address as a URL without a path, and whether it may be private."""

    scheme: str
    host: str
    port: int
    is_allowed: bool

    @property
    def name(self) -> str:
        """The host, with its port unless that is the scheme's own."""
        is_default = self.port == _DEFAULT_PORTS[self.scheme]
        return self.host if is_default else f"{self.host}:{self.port}"


def split_base(base_url: str, allow_hosts: frozenset[str]) -> tuple[Origin, str]:
    """Return the origin and the path (no slash at its end) of a base URL.

    Refused unless it is https to a public-looking name on port 443; a host in `allow_hosts`,
    written there exactly as in the URL (`host` or `host:port`), may be anything on http or https.
    """
    match = _URL.fullmatch(base_url)
    if match is None:
        raise Refused("the base URL is not https://name/path", "url")
    scheme, host = match["scheme"].lower(), match["host"].lower()
    port = int(match["port"] or _DEFAULT_PORTS[scheme])
    origin = Origin(scheme, host, port, match["netloc"].lower() in allow_hosts)
    if not origin.is_allowed:
        _check(origin)
    return origin, checked_path((match["path"] or "").rstrip("/"))


def _check(origin: Origin) -> None:
    if origin.scheme != "https" or origin.port != HTTPS_PORT:
        raise Refused("the base URL is not https on port 443", "url")
    if len(origin.host) > MAX_HOST_LENGTH or not _NAME.fullmatch(origin.host):
        raise Refused("the base URL names no public host", "address")


def checked_path(path: str) -> str:
    """Return a path that leads where it says. Refused for a query, dots, spaces and the like.

    What comes from outside belongs quoted (`urllib.parse.quote(account_id, safe="")`).
    """
    dots = {".", ".."}
    if not _PATH.fullmatch(path) or any(unquote(part) in dots for part in path.split("/")):
        raise Refused("the path cannot be asked for", "url")
    return path


def is_public(address: str) -> bool:
    """Whether a resolved address is one of the public internet's, in no disguise."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and not _is_plain_global(found):
        return False
    return not any(found in network for network in _NOT_PUBLIC)


def _is_plain_global(address: IPv6Address) -> bool:
    is_isatap = (int(address) >> 32) & _ISATAP_MASK == _ISATAP
    return address in _GLOBAL_UNICAST and address.scope_id is None and not is_isatap
