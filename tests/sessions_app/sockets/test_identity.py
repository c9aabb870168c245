"""Who opens a socket, and from which page."""

import pytest
from django.utils import timezone

from sessions_app.sockets.identity import Offer, identify, offered, welcome
from taskmaster.core.errors import OrganizationSuspended, Unauthenticated, WrongOrganization
from taskmaster.orgs.models import ApiToken


def offer(protocols=(), **headers):
    """What comes of a handshake with these headers and subprotocols."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return offered({"headers": raw, "subprotocols": list(protocols)})


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (offer(), Offer()),
        (offer(authorization="Bearer tm_x"), Offer("tm_x")),
        (offer(authorization="bearer  tm_x "), Offer("tm_x")),
        (offer(authorization="Bearer tm_x", x_org_id="org_1"), Offer("tm_x", "org_1")),
        (offer(authorization="Bearer"), Offer("")),
        (offer(authorization="Basic dXNlcg=="), Offer()),
        (offer(["taskmaster.v1"]), Offer(protocol="taskmaster.v1")),
        (offer(["taskmaster.v1", "bearer.tm_x"]), Offer("tm_x", None, "taskmaster.v1")),
        (offer(["bearer.tm_x", "taskmaster.v1"]), Offer("tm_x", None, "taskmaster.v1")),
        (offer(["bearer.tm_x"]), Offer("tm_x")),
        (offer(["taskmaster.v2", "chat"]), Offer()),
        (offer(["taskmaster.v1", "bearer.tm_x"], authorization="Bearer tm_y"), Offer("tm_x", None, "taskmaster.v1")),
    ],
)
def test_a_handshake_says_who_it_is_by_header_or_subprotocol(given, found):
    assert given == found


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("", "localhost:3001", True),
        ("http://localhost:3001", "localhost:3001", True),
        ("http://LOCALHOST:3001", "localhost:3001", True),
        ("https://app.example.com", "localhost:3001", True),
        ("https://app.example.com:8443", "localhost:3001", False),
        ("http://app.example.com", "localhost:3001", False),
        ("http://localhost:3002", "localhost:3001", False),
        ("http://localhost", "localhost:3001", False),
        ("https://evil.example", "localhost:3001", False),
        ("https://localhost:3001.evil.example", "localhost:3001", False),
        ("null", "localhost:3001", False),
        ("file://", "", False),
        # A name of theirs that leads here: not one of ours.
        ("http://rebound.example:3001", "rebound.example:3001", False),
    ],
)
def test_pages_of_other_origins_are_not_welcome(settings, origin, host, allowed):
    settings.ALLOWED_ORIGINS = ["https://app.example.com"]
    headers = {b"host": host.encode()} | ({b"origin": origin.encode()} if origin else {})
    assert welcome(headers) is allowed


def test_every_page_is_welcome_where_the_settings_say_so(settings):
    settings.ALLOWED_ORIGINS = ["*"]
    assert welcome({b"host": b"localhost:3001", b"origin": b"https://evil.example"})


def test_a_token_is_found_and_its_use_noted(alice):
    token = identify(Offer(alice.token))
    assert token.org_id == alice.org.pk
    assert identify(Offer(alice.token, alice.org.pk)).pk == token.pk
    assert ApiToken.objects.get(pk=token.pk).last_used_at is not None


@pytest.mark.parametrize("secret", [None, "", "tm_wrong", "x", "tm_" + "x" * 500, "tm_\0"])
def test_an_unknown_token_is_nobody(alice, secret):
    with pytest.raises(Unauthenticated):
        identify(Offer(secret))


def test_a_token_of_another_organization_does_not_fit(alice, charlie):
    for org_id in (charlie.org.pk, "org_nothing", "x"):
        with pytest.raises(WrongOrganization):
            identify(Offer(alice.token, org_id))


@pytest.mark.parametrize("field", ["revoked_at", "expires_at"])
def test_a_token_that_is_over_is_nobody(alice, field):
    ApiToken.objects.update(**{field: timezone.now()})
    with pytest.raises(Unauthenticated):
        identify(Offer(alice.token))


def test_a_suspended_organization_is_refused(alice):
    alice.org.suspended_at = timezone.now()
    alice.org.save()
    with pytest.raises(OrganizationSuspended):
        identify(Offer(alice.token))
