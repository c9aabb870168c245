"""After a change of SECRET_KEY: everything that is sealed in the database, sealed anew with the current key."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db.models import TextField, Value
from django.db.models.functions import Cast

from .fields import EMPTY, EncryptedJsonField
from .secret_box import SecretUnreadable, reseal

BATCH = 500
MOST_NAMED = 20
# Plain text columns that hold what their writers have sealed; an EncryptedJsonField is found by its class.
SEALED_TEXTS = ("api.IdempotencyKey.sealed",)


@dataclass(slots=True)
class Counts:
    """What became of a column's values; `named` are the keys of the first rows that cannot be read."""

    resealed: int = 0
    current: int = 0
    unreadable: int = 0
    named: list[str] = field(default_factory=list)


def sealed_columns() -> list[Any]:
    """The model fields that hold sealed values."""
    columns = [column for model in apps.get_models() for column in model._meta.local_concrete_fields]
    encrypted = [column for column in columns if isinstance(column, EncryptedJsonField)]
    return encrypted + [_column(path) for path in SEALED_TEXTS]


def _column(path: str) -> Any:
    model, _, name = path.rpartition(".")
    return apps.get_model(model)._meta.get_field(name)


def reseal_column(column: Any, *, batch: int = BATCH) -> Counts:
    """Seal all its values with the current key; what is so already, or cannot be read, is left as it is.

    Values are written one by one, each only where nobody changed it meanwhile: nobody waits for this, and it may be
    interrupted and called again at any time.
    """
    counts = Counts()
    for pk, text in _values(column, batch):
        try:
            fresh = reseal(text)
        except SecretUnreadable:
            counts.unreadable += 1
            counts.named += [str(pk)] if len(counts.named) < MOST_NAMED else []
            continue
        # Whoever changed it meanwhile has sealed it with the current key.
        if fresh is not None and _replace(column, pk, text, fresh):
            counts.resealed += 1
        else:
            counts.current += 1
    return counts


def _values(column: Any, batch: int) -> Iterator[tuple[Any, str]]:
    """Every sealed value with its row's key, by key, `batch` rows at a time."""
    rows = _rows(column).exclude(raw__in=("", EMPTY)).order_by("pk").values_list("pk", "raw")
    found = list(rows[:batch])
    while found:
        yield from found
        found = list(rows.filter(pk__gt=found[-1][0])[:batch])


def _replace(column: Any, pk: Any, old: str, new: str) -> bool:
    fresh = Value(new, output_field=TextField())
    return bool(_rows(column).filter(pk=pk, raw=old).update(**{column.attname: fresh}))


def _rows(column: Any) -> Any:
    """All rows that have a value, with it as `raw` text, which no field unseals."""
    rows = column.model._base_manager.exclude(**{f"{column.attname}__isnull": True})
    return rows.annotate(raw=Cast(column.attname, TextField()))
