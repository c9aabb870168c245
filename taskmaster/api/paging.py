"""Lists: limit and offset, or a cursor that stays fast at any depth."""

import base64
import hashlib
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import orjson
from django.core.cache import cache
from django.core.exceptions import EmptyResultSet
from django.db.models import QuerySet
from django.http import HttpRequest

from taskmaster.core.errors import ValidationFailed

from .envelope import Reply

DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET = 50, 100, 2**53 - 1
PAGE_BYTES = 4 * 1024 * 1024
EXACT_TO = 10_000
CAPPED_SECONDS = 60
_WHOLE = re.compile(r"[0-9]{1,16}\Z")


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a list: one unique, indexed field. `descending` is newest first."""

    field: str
    descending: bool = False
    number: bool = False
    longest: int = 64  # of a field that is text, in characters

    @property
    def by(self) -> str:
        """For `order_by`."""
        return f"-{self.field}" if self.descending else self.field

    def after(self, value: Any) -> dict[str, Any]:
        """For `filter`: what comes after the item with this value."""
        return {f"{self.field}__{'lt' if self.descending else 'gt'}": value}


NEWEST_FIRST = Order("id", descending=True)


def page(
    request: HttpRequest, rows: "QuerySet[Any]", *, name: str, order: Order = NEWEST_FIRST, show: Callable[[Any], Any]
) -> Reply:
    """One page of `rows` under `name`, with `pagination`. Raises ValidationFailed."""
    limit, offset = _bounds(request)
    total, capped = _total(rows)
    window = rows.order_by(order.by)
    if "cursor" in request.GET:
        window = window.filter(**order.after(_read_cursor(request, order)))[: limit + 1]
    else:
        window = window[offset : offset + limit + 1] if offset <= 2**31 else window.none()
    pagination: dict[str, Any] = {"total": total, "limit": limit, "offset": offset}
    return _shown(request, list(window), pagination, name=name, order=order, show=show, capped=capped)


def page_of(
    request: HttpRequest,
    items: Sequence[Any],
    *,
    name: str,
    order: Order,
    show: Callable[[Any], Any],
    capped: bool = False,
) -> Reply:
    """The same of what is in memory, ascending by `order.field`; `capped` where there is more than that."""
    limit, offset = _bounds(request)
    start = offset
    if "cursor" in request.GET:
        start = bisect_right(items, _read_cursor(request, order), key=attrgetter(order.field))
    found = list(items[start : start + limit + 1])
    pagination: dict[str, Any] = {"total": len(items), "limit": limit, "offset": offset}
    return _shown(request, found, pagination, name=name, order=order, show=show, capped=capped)


def _bounds(request: HttpRequest) -> tuple[int, int]:
    return (
        whole(request, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT),
        whole(request, "offset", 0, 0, MAX_OFFSET),
    )


def _shown(
    request: HttpRequest,
    found: list[Any],
    pagination: dict[str, Any],
    *,
    name: str,
    order: Order,
    show: Callable[[Any], Any],
    capped: bool,
) -> Reply:
    """The page: `found` is what is on it, and the item after it, if there is one."""
    limit = pagination["limit"]
    shown = _fitting([show(row) for row in found[:limit]])
    more = len(found) > len(shown)
    pagination["hasMore"] = more
    pagination["nextCursor"] = _cursor(request, getattr(found[len(shown) - 1], order.field)) if more else None
    if capped:
        pagination["totalCapped"] = True
    return Reply(
        b'{"%b":[%b],"pagination":%b}' % (name.encode(), b",".join(shown), orjson.dumps(pagination)), status=200
    )


def whole(request: HttpRequest, name: str, default: int, low: int, high: int) -> int:
    """The parameter `name`, or the default where it is not given. Raises ValidationFailed."""
    raw = request.GET.get(name)
    if raw is None:
        return default
    if not _WHOLE.match(raw) or not low <= int(raw) <= high:
        raise ValidationFailed.of(name, f"a whole number from {low} to {high}")
    return int(raw)


def _fitting(items: list[Any]) -> list[bytes]:
    """As many items as a page may hold, rendered, and always one."""
    shown: list[bytes] = []
    size = 0
    for item in items:
        rendered = orjson.dumps(item)
        size += len(rendered)
        if shown and size > PAGE_BYTES:
            break
        shown.append(rendered)
    return shown


def _total(rows: "QuerySet[Any]") -> tuple[int, bool]:
    """How many there are; past 10,000 only that there are more, which is remembered for a minute."""
    try:
        sql, parameters = rows.query.sql_with_params()
    except EmptyResultSet:
        return 0, False
    key = "capped:" + hashlib.blake2b(repr((sql, parameters)).encode(), digest_size=16).hexdigest()
    if _cached(key):
        return EXACT_TO, True
    count = rows.order_by()[: EXACT_TO + 1].count()
    if count <= EXACT_TO:
        return count, False
    _remember(key)
    return EXACT_TO, True


def _cached(key: str) -> bool:
    try:
        return bool(cache.get(key))
    except Exception:
        return False


def _remember(key: str) -> None:
    try:
        cache.set(key, 1, CAPPED_SECONDS)
    except Exception:
        return


def _cursor(request: HttpRequest, value: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([_mark(request), value])).decode().rstrip("=")


def _mark(request: HttpRequest) -> str:
    """What tells a list's cursors from those of all others."""
    return hashlib.blake2b(request.path.encode(), digest_size=6).hexdigest()


def _read_cursor(request: HttpRequest, order: Order) -> Any:
    raw = request.GET["cursor"]
    try:
        padded = raw + "=" * (-len(raw) % 4)
        mark, value = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError):
        mark = value = None
    if order.number:
        wanted = type(value) is int and 0 <= value < 2**63
    else:
        wanted = isinstance(value, str) and len(value) < order.longest and "\0" not in value
    if not wanted or mark != _mark(request):
        raise ValidationFailed.of("cursor", "not a cursor that this list gave")
    return value
