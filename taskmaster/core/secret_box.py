"""Secrets at rest: sealing with rotating keys, and keyed digests, all derived from SECRET_KEY."""

import base64
import hashlib
import hmac
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class SecretUnreadable(Exception):
    """Something sealed with a key that is no longer configured, or damaged."""


def seal(data: bytes) -> str:
    """Ciphertext that only this installation can read; sealed with the current key."""
    return _box(_secrets()).encrypt(data).decode()


def unseal(text: str) -> bytes:
    """What was sealed, with the current key or an earlier one. Raises SecretUnreadable."""
    try:
        return _box(_secrets()).decrypt(text.encode())
    except (InvalidToken, UnicodeEncodeError):
        raise SecretUnreadable(
            "it is damaged, or was sealed with a key that is neither SECRET_KEY nor in SECRET_KEY_FALLBACKS"
        ) from None


def reseal(text: str) -> str | None:
    """The same, sealed with the current key; None where it is already. Raises SecretUnreadable."""
    try:
        _box((settings.SECRET_KEY,)).decrypt(text.encode())
    except (InvalidToken, UnicodeEncodeError):
        return seal(unseal(text))
    return None


def digest(purpose: str, value: str) -> str:
    """A keyed hash (HMAC-SHA256, hex) that cannot be tried out without the key."""
    return _digest(settings.SECRET_KEY, purpose, value)


def digests(purpose: str, value: str) -> list[str]:
    """The keyed hashes under the current key and every earlier one, so that stored ones outlive a rotation."""
    return [_digest(secret, purpose, value) for secret in _secrets()]


def _digest(secret: str, purpose: str, value: str) -> str:
    return hmac.new(_derived(secret, f"digest/{purpose}"), value.encode(), hashlib.sha256).hexdigest()


def _secrets() -> tuple[str, ...]:
    return (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


@lru_cache(maxsize=64)
def _derived(secret: str, info: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=f"taskmaster/{info}".encode()).derive(secret.encode())


@lru_cache(maxsize=8)
def _box(secrets: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(secret, "seal"))) for secret in secrets])
