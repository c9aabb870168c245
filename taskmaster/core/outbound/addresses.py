"""The addresses that nothing may be sent to. `ipaddress.is_global` is no help: it takes NAT64 and 6to4 for global."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))

# IANA's special-purpose registry (RFC 6890 and its updates), and metadata services that stand outside of it.
REFUSED_V4 = {
    IPv4Network("0.0.0.0/8"): "an unspecified address",
    IPv4Network("10.0.0.0/8"): "a private address",
    IPv4Network("100.64.0.0/10"): "a carrier's private address",
    IPv4Network("127.0.0.0/8"): "a loopback address",
    IPv4Network("168.63.129.16/32"): "a metadata service",
    IPv4Network("169.254.0.0/16"): "a link-local address",
    IPv4Network("172.16.0.0/12"): "a private address",
    IPv4Network("192.0.0.0/24"): "a reserved address",
    IPv4Network("192.0.2.0/24"): "a documentation address",
    IPv4Network("192.31.196.0/24"): "a reserved address",
    IPv4Network("192.52.193.0/24"): "a reserved address",
    IPv4Network("192.88.99.0/24"): "a 6to4 address",
    IPv4Network("192.168.0.0/16"): "a private address",
    IPv4Network("192.175.48.0/24"): "a reserved address",
    IPv4Network("198.18.0.0/15"): "a reserved address",
    IPv4Network("198.51.100.0/24"): "a documentation address",
    IPv4Network("203.0.113.0/24"): "a documentation address",
    IPv4Network("224.0.0.0/4"): "a multicast address",
    IPv4Network("240.0.0.0/4"): "a reserved address",
}

# Only 2000::/3 is handed out; everything else is refused, whatever it may come to mean. The first that fits names it.
GLOBAL_V6 = IPv6Network("2000::/3")
REFUSED_V6 = {
    IPv6Network("::1/128"): "a loopback address",
    IPv6Network("::/128"): "an unspecified address",
    IPv6Network("::ffff:0:0/96"): "an IPv4 address in IPv6 form",
    IPv6Network("::/96"): "an IPv4 address in IPv6 form",
    IPv6Network("64:ff9b::/96"): "a NAT64 address",
    IPv6Network("64:ff9b:1::/48"): "a NAT64 address",
    IPv6Network("2001::/32"): "a Teredo address",
    IPv6Network("2001::/23"): "a reserved address",
    IPv6Network("2001:db8::/32"): "a documentation address",
    IPv6Network("2002::/16"): "a 6to4 address",
    IPv6Network("2620:4f:8000::/48"): "a reserved address",
    IPv6Network("3fff::/20"): "a documentation address",
    IPv6Network("fc00::/7"): "a private address",
    IPv6Network("fe80::/10"): "a link-local address",
    IPv6Network("fec0::/10"): "a private address",
    IPv6Network("ff00::/8"): "a multicast address",
}


class Refused(ValueError):
    """A URL that may not be called, in words that fit behind the name of its field."""


def refuse_address(text: str, *, allow_loopback: bool) -> None:
    """Raise Refused for an address that nothing may be sent to; loopback means 127.0.0.0/8 and ::1 alone."""
    try:
        address = ip_address(text)
    except ValueError:
        raise Refused("does not lead to an address") from None
    if allow_loopback and any(address in network for network in LOOPBACK):
        return
    if what := _refusal(address):
        raise Refused(f"may not lead to {what}")


def _refusal(address: IPv4Address | IPv6Address) -> str | None:
    if isinstance(address, IPv4Address):
        return next((what for network, what in REFUSED_V4.items() if address in network), None)
    if address.scope_id:
        return "a link-local address"
    named = next((what for network, what in REFUSED_V6.items() if address in network), None)
    return named or (None if address in GLOBAL_V6 else "a reserved address")
