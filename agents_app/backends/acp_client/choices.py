"""What can be chosen for a session: the agent's model and its mode."""

from collections.abc import Iterable
from dataclasses import dataclass

from acp.schema import (
    LoadSessionResponse,
    NewSessionResponse,
    SessionConfigOptionSelect,
    SessionConfigSelectGroup,
    SessionConfigSelectOption,
)

from ..base import BackendError

MODEL, MODE = "model", "mode"
PLAN = "plan"
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Choice:
    """`option` is the id of the configuration option that sets it, "" for a mode that is set as such."""

    option: str
    current: str
    offered: tuple[str, ...]


Choices = dict[str, Choice]


def choices(session: NewSessionResponse | LoadSessionResponse) -> Choices:
    """What the agent lets choose, by `model` and `mode`."""
    found: Choices = {}
    if session.modes:
        ids = tuple(mode.id for mode in session.modes.available_modes)
        found[MODE] = Choice("", session.modes.current_mode_id, ids)
    for option in session.config_options or ():
        name = option.category if option.category in (MODEL, MODE) else option.id
        if isinstance(option, SessionConfigOptionSelect) and name in (MODEL, MODE):
            found[name] = Choice(option.id, option.current_value, tuple(_values(option.options)))
    return found


def check(found: Choices, name: str, value: str) -> None:
    """Refuse a configured value that the agent does not offer: another one than was meant may cost money."""
    offered = found[name].offered if name in found else ()
    if value not in offered:
        some = ", ".join(offered[:SHOWN]) or "none"
        raise BackendError(f"config.{name} is not among those of the agent: {some}", code="not_configured")


def wanted_mode(found: Choices, permission_mode: str, configured: str, at_first: str) -> str:
    """The mode for a run, "" to leave it as it is.

    A session that may only plan plans also where another mode is configured. Of the agent's modes one that is named
    like the session's permission mode is taken; one that planned before goes back to the mode it had `at_first`.
    """
    offered = found[MODE].offered if MODE in found else ()
    if permission_mode == PLAN and PLAN in offered:
        return PLAN
    wanted = (configured, permission_mode, at_first)
    return configured or next((mode for mode in wanted if mode in offered), "")


def _values(options: Iterable[SessionConfigSelectOption | SessionConfigSelectGroup]) -> Iterable[str]:
    for option in options:
        if isinstance(option, SessionConfigSelectGroup):
            yield from _values(option.options)
        else:
            yield option.value
