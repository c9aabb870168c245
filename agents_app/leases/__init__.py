"""Claiming, renewing and ending work. A lease is the right to end one attempt; whoever has lost it changes nothing."""

from .claiming import Claim, claim, has_waiting, runnable, tell_of_start
from .ending import LIMITED, RETRY_AFTER, complete, fail, give_back, report_progress
from .held import LEASE_SECONDS, held
from .losing import MAX_LOST, lose, reap, renew
from .taking import before_taking, take

__all__ = [
    "LEASE_SECONDS",
    "LIMITED",
    "MAX_LOST",
    "RETRY_AFTER",
    "Claim",
    "before_taking",
    "claim",
    "complete",
    "fail",
    "give_back",
    "has_waiting",
    "held",
    "lose",
    "reap",
    "renew",
    "report_progress",
    "runnable",
    "take",
    "tell_of_start",
]
