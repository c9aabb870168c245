"""Signs the exact bytes of what is sent, in our own way and in that of the Standard Webhooks specification."""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Sequence

PREFIX = "whsec_"


def signed_headers(
    secrets: Sequence[str], *, message_id: str, body: bytes, timestamp: int | None = None
) -> dict[str, str]:
    """The headers that sign `body` with each of `secrets`, newest first; none where there is no secret.

    `message_id` is the same for every attempt; `timestamp` is in epoch seconds, by default now.
    """
    if not secrets:
        return {}
    at = int(time.time()) if timestamp is None else timestamp
    return {
        # One value, as receivers compare the whole header: the newest secret's.
        "X-TaskMaster-Signature": signature(secrets[0], body),
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(standard_signature(s, message_id, at, body) for s in secrets),
    }


def signature(secret: str, body: bytes) -> str:
    """`sha256=` and the HMAC-SHA256 of the bytes in hex; the key is the secret's UTF-8 bytes."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def standard_signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64 (Standard Webhooks)."""
    content = f"{message_id}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(standard_key(secret), content, 'sha256')).decode()}"


def standard_key(secret: str) -> bytes:
    """What Standard Webhooks takes for the key: the decoded part of a `whsec_…` secret, any other's UTF-8 bytes."""
    encoded = secret.removeprefix(PREFIX)
    if encoded != secret and encoded:
        try:
            return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def standard_secret(secret: str) -> str:
    """The secret in the `whsec_…` form that the libraries of Standard Webhooks ask for."""
    return PREFIX + base64.b64encode(standard_key(secret)).decode()
