"""Signatures verify the way that receivers verify them."""

import base64
import hashlib
import hmac
import time

import pytest

from taskmaster.core.signing import signature, signed_headers, standard_key, standard_secret, standard_signature

BODY = b'{"test": 2432232314}'


def test_the_vector_that_standard_webhooks_publishes() -> None:
    signed = standard_signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_vector_of_hmac_sha256() -> None:
    # RFC 4231, test case 2.
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert signature("Jefe", b"what do ya want for nothing?") == f"sha256={expected}"


def test_the_key_of_our_own_signature_is_the_secret_as_it_stands() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert signature(secret, BODY) == "sha256=" + hmac.new(secret.encode(), BODY, hashlib.sha256).hexdigest()
    assert signature("pässword", BODY) == "sha256=" + hmac.new("pässword".encode(), BODY, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("whsec_AAEC", b"\x00\x01\x02"),
        ("whsec_AAE=", b"\x00\x01"),
        ("whsec_AAE", b"\x00\x01"),
        ("plain", b"plain"),
        ("schlüssel", "schlüssel".encode()),
        ("AAEC", b"AAEC"),
        ("whsec_", b"whsec_"),
        ("whsec_not base64!", b"whsec_not base64!"),
        ("whsec_A", b"whsec_A"),
    ],
)
def test_the_key_that_standard_webhooks_takes(secret: str, key: bytes) -> None:
    assert standard_key(secret) == key
    assert base64.b64decode(standard_secret(secret).removeprefix("whsec_")) == key


def test_every_header_signs_the_exact_bytes() -> None:
    headers = signed_headers(["plain"], message_id="evt_1", body=b"\xff\x00 {}", timestamp=1_700_000_000)
    content = b"evt_1.1700000000.\xff\x00 {}"
    standard = base64.b64encode(hmac.new(b"plain", content, hashlib.sha256).digest()).decode()
    assert headers == {
        "X-TaskMaster-Signature": "sha256=" + hmac.new(b"plain", b"\xff\x00 {}", hashlib.sha256).hexdigest(),
        "webhook-id": "evt_1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": f"v1,{standard}",
    }


def test_two_secrets_sign_at_once_and_the_newest_stands_first() -> None:
    headers = signed_headers(["new", "old"], message_id="evt_1", body=BODY, timestamp=7)
    assert headers["webhook-signature"].split(" ") == [
        standard_signature("new", "evt_1", 7, BODY),
        standard_signature("old", "evt_1", 7, BODY),
    ]
    assert headers["X-TaskMaster-Signature"] == signature("new", BODY)


def test_without_a_secret_nothing_is_signed() -> None:
    assert signed_headers([], message_id="evt_1", body=BODY) == {}


def test_the_time_is_now_in_seconds() -> None:
    told = int(signed_headers(["s"], message_id="evt_1", body=BODY)["webhook-timestamp"])
    assert abs(told - time.time()) < 60
