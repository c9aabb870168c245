"""Runners over the network: a lease that waits."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.live import ROOT, Live


def made(live: Live) -> str:
    body = {"name": "runner", "type": "custom", "backend": "runner", "maxConcurrentTasks": 4}
    with live.client() as client:
        return client.post("/agents", json=body).json()["agent"]["id"]


def lease(live: Live, agent: str, wait: int) -> dict:
    with live.client() as client:
        return client.post(f"/agents/{agent}/lease", json={"wait": wait}).json()


def test_a_waiting_lease_gets_the_task_at_once_and_one_of_several_gets_it(live: Live) -> None:
    agent = made(live)
    with ThreadPoolExecutor(4) as pool, live.client() as client:
        began = time.monotonic()
        waiting = [pool.submit(lease, live, agent, 4000) for _ in range(4)]
        time.sleep(1)
        task = client.post(f"/agents/{agent}/tasks", json={"type": "t", "description": "d"}).json()["taskId"]
        sent = time.monotonic()
        while not any(call.done() for call in waiting):
            time.sleep(0.01)
        assert time.monotonic() - sent < 2
        answers = [call.result(20) for call in waiting]
        assert time.monotonic() - began >= 3.5, "the others wait their time out"
    assert [answer["task"]["id"] for answer in answers if answer["task"]] == [task]


def test_a_runner_answers_a_waiting_message(live: Live) -> None:
    agent = made(live)
    with ThreadPoolExecutor(1) as pool, live.client() as client:
        session = client.post("/sessions", json={"agentType": "custom", "agentId": agent}).json()["session"]["id"]
        asked = pool.submit(client.post, f"/sessions/{session}/messages", json={"content": "who?"})
        leased = lease(live, agent, 10_000)
        result = {"leaseToken": leased["leaseToken"], "result": {"content": "me"}}
        with live.client() as other:
            assert other.post(f"/tasks/{leased['task']['id']}/complete", json=result).status_code == 200
        answer = asked.result(20)
    assert (answer.status_code, answer.json()["response"]["content"]) == (200, "me")


def test_the_example_answers(live: Live) -> None:
    agent = made(live)
    names = {"TM_URL": live.base, "TM_ORG": live.org, "TM_TOKEN": live.token, "TM_AGENT": agent}
    runner = subprocess.Popen([sys.executable, ROOT / "examples" / "runner.py"], env=names)
    try:
        with live.client() as client:
            session = client.post("/sessions", json={"agentType": "custom", "agentId": agent}).json()["session"]["id"]
            answer = client.post(f"/sessions/{session}/messages", json={"content": "one two three"})
        assert (answer.status_code, answer.json()["response"]["content"]) == (200, "3 words")
    finally:
        runner.kill()
        runner.wait()
