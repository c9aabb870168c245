"""Who gets the next free place of a worker: each organization in turn."""

from collections import OrderedDict
from collections.abc import Callable


class FairQueue:
    """Agents that wait for a place, by organization. Not safe for threads by itself."""

    def __init__(self) -> None:
        self._orgs: OrderedDict[str, dict[str, None]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(agents) for agents in self._orgs.values())

    def add(self, org_id: str, agent_id: str) -> None:
        """The agent waits; the same again keeps its place."""
        self._orgs.setdefault(org_id, {})[agent_id] = None

    def next(self, may: Callable[[str], bool]) -> str | None:
        """The longest waiting agent of the organization whose turn it is among those that `may`, or None."""
        for org_id, agents in self._orgs.items():
            if may(org_id):
                agent_id = next(iter(agents))
                del agents[agent_id]
                if agents:
                    self._orgs.move_to_end(org_id)
                else:
                    del self._orgs[org_id]
                return agent_id
        return None
