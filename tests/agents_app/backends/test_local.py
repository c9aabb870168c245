"""The local backend: the openai backend on the embedded model's endpoint, or a reason why not."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agents_app.backends.base import Answer, BackendError, Unready
from agents_app.backends.local import SYSTEM, LocalBackend
from agents_app.local_model import Endpoint, LocalModel, LocalModelSettings, Status

from .stand_in import DONE, KEY, Recorder, StandIn, chunk, message, serving, streams, usage


class Model:
    """An embedded model that is as a test says."""

    def __init__(self, status: Status, url: str = "") -> None:
        self.settings = LocalModelSettings(Path("/nowhere"), context=1_000, max_output=200)
        self._status = status
        self._url = url

    def status(self) -> Status:
        return self._status

    def endpoint(self) -> Endpoint | None:
        return Endpoint(self._url, KEY, "Tiny-Q4") if self._url else None


def ask(request_config: dict[str, Any], content: str = "Hello") -> tuple[Answer, StandIn]:
    async def run() -> tuple[Answer, StandIn]:
        pieces = streams(chunk("Hi"), chunk(finish="length"), usage(4, 2), DONE)
        async with serving(pieces) as seen:
            backend = LocalBackend(Model(Status("ready"), seen.url))
            return await backend.run(message(content, config=request_config), Recorder()), seen

    return asyncio.run(run())


def test_the_embedded_model_answers_under_its_own_name() -> None:
    answer, seen = ask({})
    assert answer == Answer("Hi", tokens=6, backend="local", model="Tiny-Q4", truncated=True)
    assert seen.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert seen.bodies[0]["messages"][0] == {"role": "system", "content": SYSTEM}
    assert seen.bodies[0]["max_tokens"] == 200


def test_an_agents_config_cannot_point_it_elsewhere() -> None:
    answer, _ = ask({"baseUrl": "http://127.0.0.1:1/v1", "apiKey": "other", "model": "other"})
    assert answer.model == "Tiny-Q4"


@pytest.mark.parametrize(("wanted", "sent"), [(50, 50), (200, 200), (5_000, 200), (-1, 200), ("all", 200), (True, 200)])
def test_an_agents_config_may_only_lower_the_cap(wanted: Any, sent: int) -> None:
    _, seen = ask({"maxTokens": wanted})
    assert seen.bodies[0]["max_tokens"] == sent


def test_an_agents_own_system_prompt_is_used() -> None:
    _, seen = ask({"systemPrompt": "Rhyme."})
    assert seen.bodies[0]["messages"][0]["content"] == "Rhyme."


def test_what_is_sent_stays_within_the_models_context() -> None:
    _, seen = ask({}, "x" * 50_000)
    assert sum(len(m["content"]) for m in seen.bodies[0]["messages"]) <= 2_000


@pytest.mark.parametrize(
    ("status", "unready"),
    [
        (Status("ready"), None),
        (Status("fetching", "", 0.256), Unready("the embedded model's weights are being fetched (26%)", False)),
        (Status("starting"), Unready("the embedded model is starting", False)),
        (Status("failed", "no disk"), Unready("the embedded model is not running: no disk", False)),
        (Status("off", "it is switched off"), Unready("it is switched off", True)),
    ],
)
def test_it_says_why_it_cannot_run(status: Status, unready: Unready | None) -> None:
    assert LocalBackend(Model(status)).unready({}) == unready


def test_a_run_before_the_model_is_ready_fails_for_now() -> None:
    with pytest.raises(BackendError) as caught:
        asyncio.run(LocalBackend(Model(Status("fetching"))).run(message(), Recorder()))
    assert (caught.value.code, caught.value.transient) == ("agent_not_ready", True)


def test_switched_off_is_for_good_and_names_the_setting(tmp_path: Path) -> None:
    model = LocalModel(LocalModelSettings(tmp_path, model="off"))
    model.start()
    unready = LocalBackend(model).unready({})
    assert unready == Unready("the embedded model is switched off (TASKMASTER_LOCAL_MODEL=off)", True)
    with pytest.raises(BackendError) as caught:
        asyncio.run(LocalBackend(model).run(message(), Recorder()))
    assert caught.value.transient is False
    assert list(tmp_path.iterdir()) == []
