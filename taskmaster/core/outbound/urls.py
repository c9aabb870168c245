"""Reads a URL that a user gave, refusing every spelling of a place that nothing may be sent to."""

import re
import unicodedata
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from yarl import URL

from .addresses import Refused, refuse_address
from .lookups import Lookup, look_up

LONGEST = 2048
START = re.compile(r"https?://[^/?#]", re.IGNORECASE)
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
# What no URL holds as it is (RFC 3986), and what parsers read differently.
ODD = frozenset('\\<>"{}|^`')

LOOPBACK_NAMES = frozenset({"localhost", "localhost6", "ip6-localhost", "ip6-loopback", "localhost.localdomain"})
METADATA_NAMES = frozenset(
    {
        "metadata",
        "metadata.google.internal",
        "metadata.goog",
        "metadata.azure.internal",
        "metadata.azure.com",
        "metadata.packet.net",
        "metadata.platformequinix.com",
        "metadata.tencentyun.com",
        "metadata.oraclecloud.com",
        "instance-data",
        "instance-data.ec2.internal",
        "rancher-metadata",
    }
)


def check_url(url: Any, *, allow_loopback: bool, lookup: Lookup = look_up) -> URL:
    """What `read_url` says, and also Refused for a name that leads to a refused address now. Blocks for up to 2 s.

    A name that does not resolve is accepted: every connection is checked again. Never inside a transaction.
    """
    parsed = read_url(url, allow_loopback=allow_loopback)
    host = parsed.raw_host or ""
    if ":" in host or _is_dotted(host):
        return parsed
    try:
        addresses = lookup(host, parsed.port or 0)
    except OSError:
        return parsed
    for address in addresses:
        refuse_address(address, allow_loopback=allow_loopback)
    return parsed


def read_url(url: Any, *, allow_loopback: bool) -> URL:
    """The URL, without looking its name up. Raises Refused, saying why."""
    if not isinstance(url, str) or not url:
        raise Refused("must be an http or https URL")
    if len(url) > LONGEST:
        raise Refused(f"may have at most {LONGEST} characters")
    if any(c in ODD or unicodedata.category(c)[0] in "CZ" for c in url):
        raise Refused("has a character that no URL has")
    if not START.match(url):
        raise Refused("must begin with http:// or https:// and a host")
    _check_authority(re.split(r"[/?#]", url, maxsplit=3)[2])
    try:
        parsed = URL(url)
    except ValueError:
        raise Refused("is not a URL") from None
    if parsed.port == 0:
        raise Refused("has no such port as 0")
    refuse_host(parsed.raw_host or "", allow_loopback=allow_loopback)
    return parsed


def refuse_host(host: str, *, allow_loopback: bool) -> None:
    """Raise Refused for a host, a name or an address, that nothing may be sent to, without looking it up."""
    name = host.lower().removesuffix(".")
    if ":" in name or _is_dotted(name):
        refuse_address(name, allow_loopback=allow_loopback)
        return
    labels = name.split(".")
    if NUMERIC.fullmatch(labels[-1]):
        # 2130706433, 0x7f.1, 0177.0.0.1, 127.1: a resolver would take each for an address.
        raise Refused("must write an address as four decimal numbers")
    if len(name) > 253 or not all(LABEL.fullmatch(label) for label in labels):
        raise Refused("has a host that is no name")
    if _is_or_below(name, METADATA_NAMES) or _is_instance_data(name):
        raise Refused("may not lead to a metadata service")
    if _is_or_below(name, LOOPBACK_NAMES) and not allow_loopback:
        raise Refused("may not lead to a loopback address")


def _check_authority(authority: str) -> None:
    if "@" in authority:
        raise Refused("may not name a user")
    if "%" in authority:
        raise Refused("may not have an encoded host")
    if authority.startswith("["):
        inside = authority[1:].partition("]")[0]
        try:
            IPv6Address(inside)
        except ValueError:
            raise Refused("has an address that is none") from None


def _is_dotted(host: str) -> bool:
    """Whether it is an IPv4 address in the one form that every reader reads alike."""
    try:
        return str(IPv4Address(host)) == host
    except ValueError:
        return False


def _is_or_below(name: str, names: frozenset[str]) -> bool:
    return name in names or any(name.endswith(f".{other}") for other in names)


def _is_instance_data(name: str) -> bool:
    return name.startswith("instance-data.") and name.endswith(".internal")
