"""The Celery application: JSON only, results never kept."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_ready, worker_shutdown
from django.conf import settings
from kombu import Queue
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskmaster.settings")

TRANSPORT_ALIASES["in-process"] = "taskmaster.core.memory_broker:Transport"

app = Celery("taskmaster")
app.conf.update(
    broker_url=settings.BROKER_URL or "in-process://localhost/",
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_default_queue="sweeps",
    # Not acknowledged: a sweep that is lost is made again by the next one.
    task_queues=[Queue("sweeps", no_ack=True)],
    worker_prefetch_multiplier=4,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    # A sweep is worth nothing late; there is another one soon.
    broker_transport_options={} if settings.EMBEDDED else {"socket_timeout": 5, "socket_connect_timeout": 2},
    task_publish_retry=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    beat_schedule={
        "agents": {"task": "agents.sweep", "schedule": 2.0, "options": {"expires": 10}},
        "agents-tidy": {"task": "agents.tidy.sweep", "schedule": 2.0, "options": {"expires": 10}},
        "sessions": {"task": "sessions.sweep", "schedule": 15.0, "options": {"expires": 60}},
        "workflows": {"task": "workflows.sweep", "schedule": 2.0, "options": {"expires": 10}},
        "schedules": {"task": "workflows.schedules.sweep", "schedule": 1.0, "options": {"expires": 5}},
        "housekeeping": {"task": "monitoring.sweep", "schedule": 60.0, "options": {"expires": 120}},
    },
)
app.autodiscover_tasks(["agents_app", "sessions_app", "workflows_app", "taskmaster.monitoring"])


@setup_logging.connect
def keep_logging(**_: Any) -> None:
    """Django's settings have set it up."""


@worker_ready.connect
def start_executor(**_: Any) -> None:
    """The worker takes work: start what runs agents in it, and the relay behind its events."""
    from agents_app.executor import executor
    from taskmaster.events.relay import relay

    relay.start_once()
    executor.start()


@worker_shutdown.connect
def stop_executor(**_: Any) -> None:
    """Let what runs finish, give the rest back."""
    from agents_app.executor import executor
    from taskmaster.events.relay import relay

    executor.stop()
    relay.stop()
