"""Agents behind a user's own HTTP server, over REST: where they may stand, and a task's way there and back."""

import asyncio
import hashlib
import hmac
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.db import connection

from agents_app import outcomes, registry
from agents_app.models import Agent
from agents_app.reporting import TaskReporter
from tests.api.working import claim

SECRET = "whsec_ZG8tbm90LXNob3ctbWU="
NEW = {"name": "Mine", "type": "custom", "backend": "http"}
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def addresses(monkeypatch):
    """What each name leads to; no other one does. The services are reached by their address."""
    known = {}
    real = socket.getaddrinfo

    def getaddrinfo(host, port, *args, **more):
        if host == "127.0.0.1":
            return real(host, port, *args, **more)
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


def config(url, **more):
    return NEW | {"config": {"url": url} | more}


def refused(response):
    document = response.json()
    assert (response.status_code, document["code"]) == (400, "validation_failed"), document
    (detail,) = document["details"]
    assert detail["field"] == "config.url"
    return detail["message"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:9000/", "may not lead to a loopback address"),
        ("http://localhost:9000/", "may not lead to a loopback address"),
        ("http://2130706433/", "must write an address as four decimal numbers"),
        ("http://[::ffff:127.0.0.1]/", "may not lead to an IPv4 address in IPv6 form"),
        ("http://169.254.169.254/latest/", "may not lead to a link-local address"),
        ("http://metadata.google.internal/", "may not lead to a metadata service"),
        ("http://inside.example/", "may not lead to a private address"),
        ("https://user:password@example.com/", "may not name a user"),
        ("ftp://example.com/", "must begin with http:// or https:// and a host"),
        ("https://example.com/" + "x" * 2048, "may have at most 2048 characters"),
        (None, "must be an http or https URL"),
        (7, "must be an http or https URL"),
    ],
)
def test_a_place_that_may_not_be_called_is_refused_by_name(alice, settings, addresses, url, message):
    settings.WEBHOOK_ALLOW_PRIVATE = False
    addresses["inside.example"] = ["8.8.8.8", "10.0.0.1"]
    assert refused(alice.post("/agents", config(url))) == message
    assert not Agent.objects.filter(backend="http").exists()


def test_a_configuration_is_needed(alice):
    assert refused(alice.post("/agents", NEW)) == "must be an http or https URL"


@pytest.mark.parametrize("url", ["https://nobody-there.example/", "https://outside.example/", "https://8.8.8.8/x?y=z"])
def test_other_places_are_taken_whether_or_not_their_name_resolves(alice, settings, addresses, url):
    settings.WEBHOOK_ALLOW_PRIVATE = False
    addresses["outside.example"] = ["8.8.8.8"]
    assert alice.post("/agents", config(url)).status_code == 201


def test_loopback_is_open_for_development_and_nothing_else_private(alice, settings, addresses):
    settings.WEBHOOK_ALLOW_PRIVATE = True
    addresses["localhost"] = ["127.0.0.1"]
    assert alice.post("/agents", config("http://127.0.0.1:9000/")).status_code == 201
    assert alice.post("/agents", config("http://localhost:9000/")).status_code == 201
    assert refused(alice.post("/agents", config("http://10.0.0.1/"))) == "may not lead to a private address"


def test_a_change_is_checked_too_and_changes_nothing(alice, settings):
    settings.WEBHOOK_ALLOW_PRIVATE = False
    agent_id = alice.post("/agents", config("https://example.com/")).json()["agent"]["id"]
    refused(alice.patch(f"/agents/{agent_id}", {"config": {"url": "http://10.0.0.1/"}}))
    assert Agent.objects.get(pk=agent_id).config == {"url": "https://example.com/"}


def test_an_agent_of_another_kind_becomes_one_only_with_a_url(alice, echo):
    refused(alice.patch(f"/agents/{echo}", {"backend": "http"}))
    assert Agent.objects.get(pk=echo).backend == "echo"


@pytest.mark.parametrize("wrong", [{"secret": 7}, {"headers": {"Host": "x"}}, {"headers": {"X-A": "a\r\nb"}}])
def test_the_rest_of_the_configuration_is_checked_as_well(alice, wrong):
    response = alice.post("/agents", config("https://example.com/", **wrong))
    assert (response.status_code, response.json()["details"][0]["field"]) == (400, f"config.{next(iter(wrong))}")


def test_its_credentials_are_write_only(alice):
    body = config("https://example.com/", secret=SECRET, headers={"Authorization": "Bearer sk-hidden"})
    created = alice.post("/agents", body)
    agent_id = created.json()["agent"]["id"]
    for answered in (created, alice.get(f"/agents/{agent_id}"), alice.get("/agents"), alice.get("/events")):
        assert b"ZG8tbm90" not in answered.content
        assert b"sk-hidden" not in answered.content
    with connection.cursor() as cursor:
        cursor.execute("SELECT config FROM agents_app_agent WHERE id = %s", [agent_id])
        sealed = cursor.fetchone()[0]
    assert "sk-hidden" not in sealed
    assert "ZG8tbm90" not in sealed


@pytest.mark.django_db(transaction=True)
def test_no_transaction_waits_for_a_name_server(alice, monkeypatch):
    inside = []

    def check_url(url, *, allow_loopback):
        inside.append(connection.in_atomic_block)

    monkeypatch.setattr(registry, "check_url", check_url)
    agent_id = alice.post("/agents", config("https://example.com/")).json()["agent"]["id"]
    assert alice.patch(f"/agents/{agent_id}", {"config": {"url": "https://example.com/a"}}).status_code == 200
    assert inside == [False, False]


class Server:
    """A user's own server on loopback: keeps what it was sent and gives one answer."""

    def __init__(self, answer):
        self.requests = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((dict(self.headers), body))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/work"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def worked(agent_id):
    """Have the agent's next task run as a worker runs it, and store what came of it."""
    (task,) = claim(agent_id)
    resolved = registry.resolve(task.agent)
    request = outcomes.request_for(task, resolved)

    async def run():
        return await outcomes.attempt(resolved, task, request, TaskReporter(task, lambda call: None))

    asyncio.run(run())()
    return task.pk


def test_a_task_goes_there_signed_and_its_answer_comes_back(alice, settings):
    settings.WEBHOOK_ALLOW_PRIVATE = True
    with Server({"content": "done", "result": {"files": 3}, "tokensUsed": 12}) as server:
        agent_id = alice.post("/agents", config(server.url, secret=SECRET)).json()["agent"]["id"]
        task = {"type": "review", "description": "Look", "requirements": ["soon"], "context": {"z": 1, "a": 2}}
        alice.post(f"/agents/{agent_id}/tasks", task)
        task_id = worked(agent_id)
    ((headers, body),) = server.requests
    assert headers["X-TaskMaster-Signature"] == f"sha256={hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}"
    assert json.loads(body) == task | {"taskId": task_id, "sessionId": None, "content": "Look", "messages": []}
    stored = alice.get(f"/tasks/{task_id}").json()["task"]
    assert (stored["status"], stored["result"]) == ("completed", {"content": "done", "files": 3})


def test_a_place_that_became_private_since_is_not_called(alice, settings, addresses):
    settings.WEBHOOK_ALLOW_PRIVATE = False
    addresses["rebound.example"] = ["8.8.8.8"]
    agent_id = alice.post("/agents", config("http://rebound.example/")).json()["agent"]["id"]
    alice.post(f"/agents/{agent_id}/tasks", {"type": "review", "description": "Look"})
    addresses["rebound.example"] = ["127.0.0.1"]
    stored = alice.get(f"/tasks/{worked(agent_id)}").json()["task"]
    assert stored["status"] == "failed"
    assert stored["error"] == "config.url may not lead to a loopback address"
