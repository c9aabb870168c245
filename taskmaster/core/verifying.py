"""Whether the exact bytes that came in were signed with a secret, in one of the ways that are in use."""

import hmac
import time
from collections.abc import Mapping

from .signing import signature, standard_signature

# Ours, GitHub's, and Bitbucket's: `sha256=` and the HMAC in hex.
PLAIN = ("X-TaskMaster-Signature", "X-Hub-Signature-256", "X-Hub-Signature")
# How far a Standard Webhooks timestamp may be from now, in seconds.
TOLERANCE = 300


def is_signed(secret: str, body: bytes, headers: Mapping[str, str], *, moment: float | None = None) -> bool:
    """Whether one of the signatures is right, and the timestamp, where there is one, of these minutes.

    It takes the same work whatever is wrong. `moment` is in epoch seconds, by default now.
    """
    timestamp = headers.get("webhook-timestamp", "")
    found = [_same(headers.get(name, ""), signature(secret, body)) for name in PLAIN]
    at = int(timestamp) if timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12 else 0
    expected = standard_signature(secret, headers.get("webhook-id", ""), at, body)
    found += [_same(given, expected) for given in headers.get("webhook-signature", "").split(" ")[:10]]
    is_fresh = not timestamp or abs((time.time() if moment is None else moment) - at) <= TOLERANCE
    # A standard signature covers its timestamp, so one without any is none.
    return is_fresh and any(found[: len(PLAIN)] if not timestamp else found)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode())
