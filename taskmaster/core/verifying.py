"""Whether the exact bytes that came in were signed with a secret, in one of the ways that are in use."""

import hmac
import time
from collections.abc import Mapping, Sequence

from .signing import signature, standard_signature

# Ours, GitHub's, and Bitbucket's: `sha256=` and the HMAC in hex.
PLAIN = ("X-TaskMaster-Signature", "X-Hub-Signature-256", "X-Hub-Signature")
# How far a Standard Webhooks timestamp may be from now, in seconds.
TOLERANCE = 300
# Of the signatures in one header.
MOST = 10


def is_signed(secret: str, body: bytes, headers: Mapping[str, str], *, moment: float | None = None) -> bool:
    """Whether one of the signatures is right, and the timestamp, where there is one, of these minutes.

    It takes the same work whatever is wrong. `moment` is in epoch seconds, by default now.
    """
    timestamp = headers.get("webhook-timestamp", "")
    at = int(timestamp) if timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12 else 0
    plain = _is_one_of([headers.get(name, "") for name in PLAIN], signature(secret, body))
    given = headers.get("webhook-signature", "").split(" ")[:MOST]
    standard = _is_one_of(given, standard_signature(secret, headers.get("webhook-id", ""), at, body))
    if not timestamp:
        # A standard signature covers its timestamp, so one without any is none.
        return plain
    is_fresh = abs((time.time() if moment is None else moment) - at) <= TOLERANCE
    return is_fresh and (plain or standard)


def _is_one_of(given: Sequence[str], expected: str) -> bool:
    """Compared one by one, each in constant time."""
    return any([_same(one, expected) for one in given])  # noqa: C419  all of them, whichever is right


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode())
