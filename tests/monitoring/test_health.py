"""Health answers tell the truth, soon."""

import threading
import time

import pytest
from django.db.models.functions import Now
from django.test import Client

from agents_app.models import Worker
from taskmaster.monitoring import health
from taskmaster.monitoring.process import process

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _own_checker(monkeypatch):
    from taskmaster.monitoring import numbers, views

    fresh = health.Checker()
    monkeypatch.setattr(views, "checker", fresh)
    monkeypatch.setattr(numbers, "checker", fresh)


@pytest.fixture
def worker(db):
    return Worker.objects.create(host="here", pid=1, beat_at=Now())


def get(path="/health"):
    return Client(raise_request_exception=False).get(path)


def test_with_a_worker_everything_needed_is_healthy(worker):
    response = get()
    body = response.json()
    assert (response.status_code, body["success"], body["status"]) == (200, True, "healthy")
    assert {name: body["components"][name] for name in health.NEEDED} == dict.fromkeys(health.NEEDED, "healthy")
    assert body["components"]["claudeInterface"] == body["components"]["codegenSDK"] == "unconfigured"
    assert body["data"] == {name: body[name] for name in ("timestamp", "status", "uptime", "version", "components")}


def test_without_a_worker_nothing_would_be_answered(db):
    response = get("/api/v1/health")
    body = response.json()
    assert (response.status_code, body["success"], body["status"]) == (503, False, "unhealthy")
    assert body["error"] == "Down: workers."
    assert body["components"]["database"] == "healthy"


def test_weights_that_are_still_coming_are_no_harm(worker):
    Worker.objects.update(unready={"local": {"reason": "coming", "forGood": False, "state": "fetching"}})
    body = get().json()
    assert body["components"]["localModel"] in ("degraded", "unconfigured")
    assert body["status"] == "healthy"


def test_a_check_that_hangs_is_unhealthy_within_two_seconds_and_is_not_begun_again(worker, monkeypatch):
    release, begun = threading.Event(), []

    def hang():
        begun.append(1)
        release.wait(20)
        return health.HEALTHY

    monkeypatch.setitem(health.CHECKS, "cache", hang)
    try:
        for _ in range(2):
            start = time.monotonic()
            response = get()
            assert time.monotonic() - start < 2
            assert (response.status_code, response.json()["components"]["cache"]) == (503, "unhealthy")
        assert len(begun) == 1
    finally:
        release.set()


def test_a_check_that_breaks_is_unhealthy(worker, monkeypatch):
    monkeypatch.setitem(health.CHECKS, "broker", lambda: 1 / 0)
    assert get().json()["error"] == "Down: broker."


def test_a_stopping_server_is_alive_and_not_ready(worker, monkeypatch):
    assert get("/readyz").status_code == 200
    monkeypatch.setattr(process, "draining", True)
    assert (get("/livez").status_code, get("/readyz").status_code) == (200, 503)


def test_a_health_document_can_only_be_read(worker):
    response = Client().post("/health")
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")


def test_the_status_counts_what_is_there(alice, worker):
    status = alice.get("/system/status").json()["status"]
    assert status["orchestrator"]["systemWatcher"] == {
        "isRunning": True,
        "processCount": 1,
        "workflowCount": 0,
        "healthStatus": "healthy",
    }
    assert status["orchestrator"]["coordinationEngine"] == {
        "isRunning": True,
        "agentCount": 3,
        "queuedTasks": 0,
        "activeTasks": 0,
    }


def test_metrics_are_for_loopback_or_a_token(alice):
    assert "taskmaster_workers" in Client().get("/metrics").content.decode()
    assert Client().get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 401
    assert Client().get("/metrics", REMOTE_ADDR="203.0.113.9", headers=alice.headers).status_code == 200
