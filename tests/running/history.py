"""What a running installation tells of a workflow, and whether that could have happened."""

from typing import Any

from tests.live import until
from tests.workflows_app.legal import Event, Rows, complaints

from .cast import Cast

Json = dict[str, Any]


def newest(cast: Cast) -> int:
    """The sequence of the last event."""
    _numbered(cast)
    last = f"SELECT COALESCE(max(sequence), 0) FROM events_event WHERE org_id = '{cast.live.org}'"
    return int(cast.live.sql(last)[0][0])


def events_after(cast: Cast, sequence: int, workflow: str) -> list[Event]:
    """The events of a workflow, in their order."""
    _numbered(cast)
    events = cast.all("/events", "events", after=sequence, types="workflow.*,task.*")
    return [(e["eventType"], e["data"]) for e in events if e["data"].get("workflowId") == workflow]


def _numbered(cast: Cast) -> None:
    until(lambda: "\ntaskmaster_events_unnumbered 0.0" in cast.client.get("/metrics").text, 10)


def rows_of(cast: Cast, workflow: str, defined: list[Json]) -> Rows:
    """Its rows, as far as they are shown; `defined` are its template's steps."""
    found = cast.client.get(f"/workflows/{workflow}").raise_for_status().json()["workflow"]
    on_failure = {step["id"]: step.get("onFailure", "fail") for step in defined}
    attempts = [
        {"key": s["id"], "number": a["number"], "finished_at": a["finishedAt"], "task_id": a["taskId"] or ""}
        for s in found["steps"]
        for a in s["attempts"]
    ]
    steps = [s | {"key": s["id"], "needs": s["dependsOn"], "on_failure": on_failure[s["id"]]} for s in found["steps"]]
    left = round((1 - found["progress"]) * len(steps))
    tasks = cast.all("/tasks", "tasks", workflowId=workflow)
    actions = [a for a in cast.all("/actions", "actions", status="pending") if a["workflowId"] == workflow]
    return Rows(found | {"left": left, "total": len(steps)}, steps, attempts, tasks, actions)


def settled(cast: Cast, workflow: str, defined: list[Json], sequence: int) -> str:
    """Its state, once its history is legal: a sweep may still have to come."""

    def wrong() -> list[str]:
        rows = rows_of(cast, workflow, defined)
        return complaints(events_after(cast, sequence, workflow), rows)

    try:
        until(lambda: not wrong(), 10, 0.2)
    except AssertionError:
        raise AssertionError("\n".join([*wrong(), *map(str, events_after(cast, sequence, workflow))])) from None
    return str(cast.client.get(f"/workflows/{workflow}").json()["workflow"]["status"])
