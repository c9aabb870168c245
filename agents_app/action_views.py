"""Approvals over REST."""

from typing import Any

from rest_framework.request import Request

from taskmaster.api.envelope import Reply, reply
from taskmaster.api.paging import page
from taskmaster.api.views import ApiViewSet
from taskmaster.core.errors import NotFound
from taskmaster.core.prepared import Select, Slot
from taskmaster.orgs.models import ApiToken

from . import actions
from .filters import insist_known, narrowed
from .models import KINDS, Action
from .serializers import ConfirmIn

ACTION = Select(lambda: Action.objects.filter(pk=Slot("pk"), org=Slot("org")))
FILTERS = {"status": "status", "kind": "kind", "sessionId": "session_id", "taskId": "task_id"}
CHOICES = {"status": Action.STATUSES, "kind": KINDS}


class ActionViewSet(ApiViewSet):
    """`/actions`."""

    bodies = {"confirm": ConfirmIn}

    def list(self, request: Request) -> Reply:
        """Newest first; `status`, `kind`, `sessionId` and `taskId` narrow it."""
        insist_known(request, CHOICES)
        found = Action.objects.filter(org=self.org, **narrowed(request, FILTERS))
        return page(request, found, name="actions", show=Action.public)

    def retrieve(self, request: Request, pk: str) -> Reply:
        """One action."""
        return reply({"action": self.find(ACTION, pk).public()})

    def confirm(self, request: Request, pk: str) -> Reply:
        """Decide it, for or against."""
        body = self.body()
        return reply(decided(self, pk, body))


def decided(view: ApiViewSet, pk: str, body: dict[str, Any]) -> dict[str, Any]:
    """Decide the action as the body says. A `sessionId` must be the action's. Raises NotFound or InvalidState."""
    action = view.find(ACTION, pk)
    if body.get("session_id") not in (None, action.session_id):
        raise NotFound()
    action = actions.decide(action, verdict_of(view.token, body))
    shown = action.public()
    result = {"actionId": action.pk, "status": action.status, "executedAt": shown["executedAt"]}
    return {"action": shown, "result": result}


def verdict_of(token: ApiToken, body: dict[str, Any]) -> actions.Verdict:
    """The decision of whoever has that token."""
    return actions.Verdict(
        confirmed=body["confirmed"],
        by=f"{token.name} ({token.pk})",
        reason=body.get("reason") or "",
        updated_input=body.get("updated_input"),
        always_allow=body.get("always_allow", False),
        on_deny=body.get("on_deny") or "",
    )
