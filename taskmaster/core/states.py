"""State moves: one conditional UPDATE whose row count tells who won."""

from typing import Any, ClassVar, Self

from django.db import models

from .errors import InvalidState


class StateMachine(models.Model):
    """A row with a `status` that moves only along `MOVES` (target → the states it may be reached from)."""

    MOVES: ClassVar[dict[str, tuple[str, ...]]]
    pk: Any
    status: Any

    class Meta:
        abstract = True

    def try_move(self, target: str, *, where: dict[str, Any] | None = None, **changes: Any) -> bool:
        """Move to `target` if the stored row allows it; False for whoever comes second."""
        mine = self._stored().filter(status__in=self.MOVES[target]).filter(**(where or {}))
        if not mine.update(status=target, **changes):
            return False
        self._take(target, changes)
        return True

    def move_to(self, target: str, *, where: dict[str, Any] | None = None, **changes: Any) -> Self:
        """Move to `target`; raise InvalidState, with the stored state, if it does not allow it."""
        if self.try_move(target, where=where, **changes):
            return self
        stored = self._stored().values_list("status", flat=True).first()
        name = type(self).__name__.lower()
        raise InvalidState(
            f"The {name} is {stored or 'gone'}; it cannot become {target}.",
            details=[{"field": "status", "message": stored or "gone"}],
        )

    def _stored(self) -> Any:
        return type(self)._default_manager.filter(pk=self.pk)

    def _take(self, target: str, changes: dict[str, Any]) -> None:
        self.status = target
        for name, value in changes.items():
            if not hasattr(value, "resolve_expression"):
                setattr(self, name, value)
