"""Who opens a socket: a header, a subprotocol of a browser, or a first frame says so."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from taskmaster.core.errors import OrganizationSuspended, Unauthenticated, WrongOrganization
from taskmaster.orgs.models import ApiToken
from taskmaster.orgs.tokens import find_token, note_use

PROTOCOL, BEARER = "taskmaster.v1", "bearer."

Headers = dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Offer:
    """What came with the handshake: a secret, an organization, and the protocol to agree to."""

    secret: str | None = None
    org_id: str | None = None
    protocol: str | None = None


def offered(scope: dict[str, Any]) -> Offer:
    """The handshake's credentials. A browser can send none but by a subprotocol, and the org is then the token's."""
    headers, protocols = dict(scope["headers"]), scope.get("subprotocols") or []
    agreed = PROTOCOL if PROTOCOL in protocols else None
    bearer = next((name.removeprefix(BEARER) for name in protocols if name.startswith(BEARER)), None)
    if bearer is not None:
        return Offer(bearer, None, agreed)
    kind, _, secret = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if kind.lower() != "bearer":
        return Offer(protocol=agreed)
    return Offer(secret.strip(), headers.get(b"x-org-id", b"").decode("latin-1") or None, agreed)


def session_of(scope: dict[str, Any]) -> str:
    """The session that the address names; none is empty."""
    query: dict[str, list[str]] = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return query.get("sessionId", [""])[0][:64]


def identify(offer: Offer) -> ApiToken:
    """The token (looks at the database). Raises Unauthenticated, WrongOrganization or OrganizationSuspended."""
    token = find_token(offer.secret or "")
    if token is None:
        raise Unauthenticated("The token is unknown, expired or revoked.")
    if offer.org_id is not None and offer.org_id != token.org_id:
        raise WrongOrganization()
    if token.org.is_suspended:
        raise OrganizationSuspended()
    note_use(token)
    return token


def welcome(headers: Headers) -> bool:
    """Whether a page of that origin may connect; who is no browser sends none."""
    origin, host = (headers.get(name, b"").decode("latin-1").lower() for name in (b"origin", b"host"))
    if not origin or {"*", origin} & {allowed.lower() for allowed in settings.ALLOWED_ORIGINS}:
        return True
    # A name that somebody made point here would be of the same origin as itself.
    return urlsplit(origin).netloc == host and validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)
