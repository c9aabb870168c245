"""The numbers of the system, every one of them counted."""

from typing import Any

from django.conf import settings
from django.db.models import Count

from agents_app import spending
from agents_app.models import Agent, Task, Worker
from sessions_app.models import Message, Session
from taskmaster.events.models import Event
from taskmaster.orgs.models import ApiToken, Organization
from workflows_app.models import Workflow

from .health import checker, overall
from .models import WebServer
from .process import process


def status_document(org: Organization) -> dict[str, Any]:
    """`GET /system/status`: the processes of the whole system, the work of the caller's organization."""
    web = list(WebServer.live())
    workers = list(Worker.live())
    processes = {(row.host, row.pid) for row in web} | {(row.host, row.pid) for row in workers}
    tasks = Task.objects.filter(org=org)
    return {
        "orchestrator": {
            "systemWatcher": {
                "isRunning": True,
                "processCount": len(processes),
                "workflowCount": Workflow.objects.filter(org=org, status__in=Workflow.STARTED).count(),
                "healthStatus": overall(checker.components()),
            },
            "coordinationEngine": {
                "isRunning": bool(workers),
                "agentCount": Agent.objects.filter(org=org, deleted_at=None, internal=False).count(),
                "queuedTasks": tasks.filter(status=Task.QUEUED).count(),
                "activeTasks": tasks.exclude(lease="").count(),
            },
        },
        "middleware": {
            "agentAPI": {
                "isRunning": not process.draining,
                "port": settings.PORT,
                "connections": process.connections_with(web),
            }
        },
    }


def usage_document(org: Organization) -> dict[str, Any]:
    """`GET /org/usage`: what the organization has and has used."""
    tasks, workflows = Task.objects.filter(org=org), Workflow.objects.filter(org=org)
    return {
        "sessions": Session.objects.filter(org=org, deleted_at=None).count(),
        "messages": Message.objects.filter(session__org=org, session__deleted_at=None).count(),
        "agents": Agent.objects.filter(org=org, deleted_at=None, internal=False).count(),
        "tokens": ApiToken.objects.filter(org=org, revoked_at=None).count(),
        "events": Event.objects.filter(org=org).count(),
        "tasks": dict(tasks.order_by().values_list("status").annotate(Count("id"))),
        "workflows": dict(workflows.order_by().values_list("status").annotate(Count("id"))),
        "tokenBudget": org.token_budget,
        "maxRunning": org.max_running,
        **spending.used(org_id=org.pk).public(),
        "byAgent": spending.by_agent(org.pk),
    }
