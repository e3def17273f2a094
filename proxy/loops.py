"""An `--upstream` that is this server itself: found before the server starts."""

# A request that is forwarded to ourselves is forwarded again, until the sockets run out, and the caller waits for
# --upstream-timeout. It is found without a header of our own, since what is forwarded must leave as it came: the
# upstream's port is ours, and its host leads to the address that we are about to listen on.
#
# A longer way back, through a second proxy, is not found.

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from mockserver.config.settings import SettingError, Settings

PORTS = {"http": 80, "https": 443}


def refuse_loop(settings: Settings) -> None:
    """Raise SettingError where the upstream is the server that these settings start."""
    if not settings.upstream:
        return
    parts = urlsplit(settings.upstream)
    port = parts.port or PORTS[parts.scheme]
    if port != settings.port or parts.hostname is None:
        return
    upstream, own = _addresses(parts.hostname, port), _addresses(settings.host, port)
    if any(_leads_here(address, own) for address in upstream):
        raise SettingError(
            f"--upstream {settings.upstream} leads back to this server, which listens on {settings.host} port {port}; "
            "name the real API, such as https://api.openai.com/v1, or choose another --port"
        )


def _addresses(host: str, port: int) -> set[str]:
    """The addresses of a host; none if it has none, which is told elsewhere."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {str(entry[4][0]) for entry in found}


def _leads_here(address: str, own: set[str]) -> bool:
    if address in own:
        return True
    wild = any(ipaddress.ip_address(one.partition("%")[0]).is_unspecified for one in own)
    return wild and _is_of_this_machine(address)


def _is_of_this_machine(address: str) -> bool:
    """Whether an address is one of this machine's: only those can be bound to."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
