"""`manage.py rotate_secrets`: after it the earlier key is needed for nothing that is sealed."""

import io
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings

from agents_app.models import Agent, Credential
from taskmaster.api.models import IdempotencyKey
from taskmaster.core import resealing
from taskmaster.core.secret_box import SecretUnreadable, reseal, seal, unseal
from tests.conftest import Person

pytestmark = pytest.mark.django_db

OLD, NEW, LOST = "the old key of the tests", "the new key of the tests", "a key that nobody has any more"
CONFIG = {"z": 1, "apiKey": "sk-hidden", "a": [1.0, None]}


def keys(current: str, *earlier: str) -> override_settings:
    return override_settings(SECRET_KEY=current, SECRET_KEY_FALLBACKS=list(earlier))


@pytest.fixture(autouse=True)
def _old_key() -> Iterator[None]:
    with keys(OLD):
        yield


def agent(person: Person, **config: Any) -> Agent:
    return Agent.objects.create(org=person.org, name="a", type="custom", backend="echo", config=config or CONFIG)


def rotate(*arguments: str) -> dict[str, str]:
    """What the command printed, by column."""
    out = io.StringIO()
    call_command("rotate_secrets", *arguments, stdout=out)
    return dict(line.split(": ", 1) for line in out.getvalue().splitlines())


def column(of: Any, name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT "{name}" FROM "{of._meta.db_table}" WHERE id = %s', [of.pk])
        return str(cursor.fetchone()[0])


def put(of: Any, name: str, text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f'UPDATE "{of._meta.db_table}" SET "{name}" = %s WHERE id = %s', [text, of.pk])


def test_afterwards_the_old_key_is_not_needed(alice: Person) -> None:
    made = agent(alice)
    credential = Credential.objects.create(org=alice.org, provider="openai", fields={"apiKey": "sk-org"})
    answer = alice.post("/agents", {"name": "b", "type": "custom", "backend": "echo"}, idempotency_key="k")
    with keys(NEW, OLD):
        told = rotate()
    assert told == {
        "agents_app.Agent.config": "1 sealed anew, 0 already current, 0 unreadable",
        "agents_app.Credential.fields": "1 sealed anew, 0 already current, 0 unreadable",
        "api.IdempotencyKey.sealed": "1 sealed anew, 0 already current, 0 unreadable",
        "workflows_app.Trigger.secret": "0 sealed anew, 0 already current, 0 unreadable",
    }
    with keys(NEW):
        assert Agent.objects.get(pk=made.pk).config == CONFIG
        assert list(Agent.objects.get(pk=made.pk).config) == ["z", "apiKey", "a"]
        assert Credential.objects.get(pk=credential.pk).fields == {"apiKey": "sk-org"}
        assert orjson.loads(unseal(IdempotencyKey.objects.get().sealed)) == answer.json()["data"]
    with keys(OLD), pytest.raises(SecretUnreadable):
        _ = Agent.objects.get(pk=made.pk).config


def test_what_is_current_is_left_as_it_is(alice: Person) -> None:
    made = agent(alice)
    with keys(NEW, OLD):
        rotate()
        before = column(made, "config")
        assert rotate()["agents_app.Agent.config"] == "0 sealed anew, 1 already current, 0 unreadable"
    assert column(made, "config") == before


def test_empty_values_are_no_secrets(alice: Person) -> None:
    empty = Agent.objects.filter(org=alice.org).first()
    waiting = IdempotencyKey.objects.create(org=alice.org, key="k", fingerprint="f")
    with keys(NEW, OLD):
        told = rotate()
    assert told["agents_app.Agent.config"] == "0 sealed anew, 0 already current, 0 unreadable"
    assert (column(empty, "config"), column(waiting, "sealed")) == ("{}", "")


def test_the_unreadable_are_counted_named_and_left(alice: Person) -> None:
    with keys(LOST):
        lost = agent(alice)
    damaged, good = agent(alice), agent(alice)
    put(damaged, "config", "no seal at all")
    before = column(lost, "config")
    out = io.StringIO()
    with keys(NEW, OLD), pytest.raises(CommandError, match=r"^2 could not be read") as error:
        call_command("rotate_secrets", stdout=out)
    assert error.value.returncode == 1
    told = f"1 sealed anew, 0 already current, 2 unreadable ({lost.pk}, {damaged.pk})"
    assert out.getvalue().splitlines()[0] == f"agents_app.Agent.config: {told}"
    assert "api.IdempotencyKey.sealed" in out.getvalue()
    assert (column(lost, "config"), column(damaged, "config")) == (before, "no seal at all")
    with keys(NEW):
        assert Agent.objects.get(pk=good.pk).config == CONFIG


def test_of_many_unreadable_ones_only_the_first_are_named(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resealing, "MOST_NAMED", 1)
    first, _ = agent(alice), agent(alice)
    out = io.StringIO()
    with keys(NEW), pytest.raises(CommandError, match=r"^2 could"):
        call_command("rotate_secrets", stdout=out)
    assert f"2 unreadable ({first.pk}, …)" in out.getvalue()


@pytest.mark.parametrize("size", ["1", "2", "3", "500"])
def test_every_row_is_reached_whatever_the_batch(alice: Person, size: str) -> None:
    made = [agent(alice, apiKey=str(number)) for number in range(5)]
    with keys(NEW, OLD):
        assert rotate("--batch-size", size)["agents_app.Agent.config"].startswith("5 sealed anew, 0 already")
    with keys(NEW):
        assert [Agent.objects.get(pk=each.pk).config["apiKey"] for each in made] == ["0", "1", "2", "3", "4"]


def test_what_is_changed_meanwhile_is_not_put_back(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    made = agent(alice)

    def meanwhile(text: str) -> str | None:
        Agent.objects.filter(pk=made.pk).update(config={"apiKey": "sk-newer"})
        return reseal(text)

    monkeypatch.setattr(resealing, "reseal", meanwhile)
    with keys(NEW, OLD):
        assert rotate()["agents_app.Agent.config"] == "0 sealed anew, 1 already current, 0 unreadable"
        assert Agent.objects.get(pk=made.pk).config == {"apiKey": "sk-newer"}


def test_an_interrupted_one_is_taken_up_again(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [agent(alice), agent(alice)]
    seen: list[str] = []

    def interrupted(text: str) -> str | None:
        if seen:
            raise KeyboardInterrupt
        seen.append(text)
        return reseal(text)

    monkeypatch.setattr(resealing, "reseal", interrupted)
    with keys(NEW, OLD), pytest.raises(KeyboardInterrupt):
        rotate()
    monkeypatch.undo()
    with keys(NEW, OLD):
        assert rotate()["agents_app.Agent.config"] == "1 sealed anew, 1 already current, 0 unreadable"
    with keys(NEW):
        assert all(Agent.objects.get(pk=each.pk).config == CONFIG for each in made)


@pytest.mark.parametrize("size", ["0", "-1", "x", "", "100001", "²"])
def test_a_wrong_batch_size_is_refused(size: str) -> None:
    with pytest.raises(CommandError, match="batch-size"):
        rotate(f"--batch-size={size}")


def test_a_value_is_sealed_anew_only_where_it_has_to_be() -> None:
    old = seal(b"data")
    assert reseal(old) is None
    with keys(NEW, OLD):
        fresh = reseal(old)
    with keys(NEW):
        assert fresh is not None
        assert unseal(fresh) == b"data"
        assert reseal(fresh) is None
        with pytest.raises(SecretUnreadable):
            reseal(old)
    with pytest.raises(SecretUnreadable):
        reseal("é")
