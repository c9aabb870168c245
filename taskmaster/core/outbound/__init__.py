"""Calls to addresses that users gave: checked when they are given, and again at every connection."""

from .addresses import Refused
from .connector import guarded_connector, open_session
from .exchange import NoReply, Reply, exchange
from .urls import check_url, read_url

__all__ = [
    "NoReply",
    "Refused",
    "Reply",
    "check_url",
    "exchange",
    "guarded_connector",
    "open_session",
    "read_url",
]
