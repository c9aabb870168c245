"""What came in is taken only if it was signed with the secret, in one of the ways that are in use."""

import hashlib
import hmac
import time

import pytest

from taskmaster.core.signing import signed_headers
from taskmaster.core.verifying import TOLERANCE, is_signed

SECRET, STANDARD = "a secret of ours", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"a": "ä"}'.encode()
NOW = 1_700_000_000


class Headers(dict):
    """Looked up without regard to case, as requests' are."""

    def __init__(self, given):
        super().__init__({name.lower(): value for name, value in given.items()})

    def get(self, name, default=None):
        return super().get(name.lower(), default)


def verified(headers, secret=SECRET, body=BODY, moment=NOW):
    return is_signed(secret, body, Headers(headers), moment=moment)


def digest(secret=SECRET, body=BODY):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def standard(secret=STANDARD, at=NOW, body=BODY):
    """The Standard Webhooks headers alone."""
    headers = signed_headers([secret], message_id="msg_1", body=body, timestamp=at)
    return {name: value for name, value in headers.items() if name.startswith("webhook-")}


@pytest.mark.parametrize(
    "name", ["X-TaskMaster-Signature", "X-Hub-Signature-256", "X-Hub-Signature", "x-hub-signature-256"]
)
def test_a_digest_of_the_exact_body_is_taken(name):
    assert verified({name: f"sha256={digest()}"})
    assert not verified({name: f"sha256={digest()}"}, body=BODY + b" ")
    assert not verified({name: f"sha256={digest('another secret')}"})


def test_githubs_own_example():
    """From its documentation of how deliveries are validated."""
    told = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert verified({"X-Hub-Signature-256": told}, "It's a Secret to Everybody", b"Hello, World!")


def test_the_specifications_own_example():
    """From the reference libraries of Standard Webhooks."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert verified(headers, STANDARD, b'{"test": 2432232314}', 1_614_265_330)


NOT_SIGNED = ["", "sha256=", digest(), f"sha1={digest()}", f"SHA256={digest()}", f"sha256={digest().upper()}"]


@pytest.mark.parametrize("given", [*NOT_SIGNED, f"sha256={digest()} ", "é", "\udcff", "x" * 100_000])
def test_what_is_nearly_a_digest_is_none(given):
    assert not verified({"X-TaskMaster-Signature": given})


def test_nothing_at_all_is_no_signature():
    assert not verified({})
    assert not verified({}, body=b"")


def test_the_standard_headers_are_taken_within_five_minutes():
    for at in (NOW, NOW - TOLERANCE, NOW + TOLERANCE):
        assert verified(standard(at=at), STANDARD)
    for at in (NOW - TOLERANCE - 1, NOW + TOLERANCE + 1, 0):
        assert not verified(standard(at=at), STANDARD)


def test_now_is_the_moment_unless_it_is_said():
    assert is_signed(STANDARD, BODY, Headers(standard(at=int(time.time()))))
    assert not is_signed(STANDARD, BODY, Headers(standard(at=int(time.time()) - 400)))


@pytest.mark.parametrize("change", ["webhook-id", "webhook-timestamp"])
def test_the_standard_signature_covers_its_id_and_its_timestamp(change):
    headers = standard()
    assert not verified(headers | {change: str(NOW + 1)}, STANDARD)
    del headers[change]
    assert not verified(headers, STANDARD)


@pytest.mark.parametrize("at", ["", "soon", "-1", "1e9", "1_700_000_000", "١٧٠٠٠٠٠٠٠٠", "9" * 5_000, " 1700000000"])
def test_a_strange_timestamp_is_not_of_these_minutes(at):
    assert not verified(standard() | {"webhook-timestamp": at}, STANDARD)


def test_of_several_standard_signatures_one_is_enough():
    headers = standard()
    known = headers["webhook-signature"]
    assert verified(headers | {"webhook-signature": f"v1a,x {known} v1,y"}, STANDARD)
    assert not verified(headers | {"webhook-signature": "v1,x v1,y"}, STANDARD)


def test_an_old_delivery_with_both_kinds_of_signature_is_refused_as_a_whole():
    old = signed_headers([SECRET], message_id="msg_1", body=BODY, timestamp=NOW - 3_600)
    new = signed_headers([SECRET], message_id="msg_1", body=BODY, timestamp=NOW)
    assert not verified(old)
    assert verified(new)


def test_what_we_send_after_a_rotation_is_known_by_the_old_secret_too():
    headers = signed_headers(["a newer secret", SECRET], message_id="msg_1", body=BODY, timestamp=NOW)
    assert verified(headers)
