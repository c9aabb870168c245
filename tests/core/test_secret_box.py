"""Sealing and keyed digests, through rotations of SECRET_KEY."""

import hashlib
import hmac
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from taskmaster.core.secret_box import SecretUnreadable, digest, digests, seal, unseal

UNREADABLE = "it is damaged, or was sealed with a key that is neither SECRET_KEY nor in SECRET_KEY_FALLBACKS"


def keys(current: str, *earlier: str) -> override_settings:
    return override_settings(SECRET_KEY=current, SECRET_KEY_FALLBACKS=list(earlier))


@pytest.fixture(autouse=True)
def _first_key() -> Iterator[None]:
    with keys("first"):
        yield


@given(st.binary(max_size=2000))
def test_unseals_what_it_sealed(data: bytes) -> None:
    sealed = seal(data)
    assert unseal(sealed) == data
    assert sealed.isascii()


def test_a_seal_tells_nothing_and_is_never_the_same() -> None:
    first, second = seal(b"hunter2"), seal(b"hunter2")
    assert first != second
    assert "hunter2" not in first


def test_an_earlier_key_still_unseals_but_no_longer_seals() -> None:
    old = seal(b"data")
    with keys("second", "first"):
        assert unseal(old) == b"data"
        new = seal(b"data")
    with keys("second"):
        assert unseal(new) == b"data"
        with pytest.raises(SecretUnreadable, match=f"^{UNREADABLE}$"):
            unseal(old)


@pytest.mark.parametrize("text", ["", "nonsense", "gAAAA", "é", "\ud800", "a" * 100])
def test_what_is_no_seal_is_unreadable(text: str) -> None:
    with pytest.raises(SecretUnreadable, match=f"^{UNREADABLE}$"):
        unseal(text)


def test_a_changed_seal_is_unreadable() -> None:
    sealed = seal(b"data")
    middle = len(sealed) // 2
    changed = sealed[:middle] + ("A" if sealed[middle] != "A" else "B") + sealed[middle + 1 :]
    with pytest.raises(SecretUnreadable):
        unseal(changed)


def test_a_digest_is_an_hmac_under_a_key_of_its_purpose() -> None:
    key = HKDF(SHA256(), 32, salt=None, info=b"taskmaster/digest/api-token").derive(b"first")
    assert digest("api-token", "tm_é") == hmac.new(key, "tm_é".encode(), hashlib.sha256).hexdigest()


def test_digests_differ_by_purpose_value_and_key() -> None:
    made = {digest("a", "x"), digest("b", "x"), digest("a", "y"), digest("seal", "x")}
    with keys("second"):
        made.add(digest("a", "x"))
    assert len(made) == 5


def test_digests_are_the_current_one_and_then_each_earlier_one() -> None:
    first = digest("a", "x")
    with keys("second"):
        second = digest("a", "x")
    with keys("third", "second", "first"):
        assert digests("a", "x") == [digest("a", "x"), second, first]
        assert digest("a", "x") not in {first, second}
