"""Which failures of an agent may pass, and that it is told why in words without secrets."""

from typing import Any

import pytest

from agents_app.backends.acp_client import session
from agents_app.backends.acp_client.failures import Secrets, ended, refused
from agents_app.backends.acp_client.lines import LONGEST_LINE
from agents_app.backends.acp_client.places import home_of
from agents_app.backends.base import BackendError

from .acp_running import Desktop

NONE = Secrets([])


def kind(error: BackendError) -> tuple[str, bool, bool, int | None]:
    return error.code, error.transient, error.limited, error.retry_after


@pytest.mark.parametrize(
    ("code", "message", "data", "expected"),
    [
        (-32000, "Authentication required", None, ("not_configured", False, False, None)),
        (-32603, "Internal error", {"details": "told to 401"}, ("agent_failed", False, False, None)),
        (-32602, "model not found", {"modelId": "x"}, ("agent_failed", False, False, None)),
        (-32603, "x", {"statusCode": 429}, ("agent_failed", True, True, None)),
        (-32603, "429 Too Many Requests", None, ("agent_failed", True, True, None)),
        (-32603, "Internal error", {"details": "Rate limit reached"}, ("agent_failed", True, True, None)),
        (-32603, "order 14290 is unknown", None, ("agent_failed", False, False, None)),
        (-32603, "rate limits of 400", {"statusCode": 400}, ("agent_failed", False, False, None)),
        (-32603, "x", {"status": 503}, ("agent_failed", True, False, None)),
        (-32603, "x", {"isRetryable": True}, ("agent_failed", True, False, None)),
        (-32603, "x", {"statusCode": 429, "headers": {"Retry-After": 2}}, ("agent_failed", True, True, 2000)),
        (-32603, "x", {"statusCode": 429, "responseHeaders": [1]}, ("agent_failed", True, True, None)),
        (-32603, "x", ["odd"], ("agent_failed", False, False, None)),
    ],
)
def test_an_error_that_the_agent_answers_with_is_classified(code: int, message: str, data: Any, expected: Any) -> None:
    error = refused(code, message, data, NONE)
    assert kind(error) == expected
    assert message in str(error)


def test_an_agents_error_reaches_the_person_who_asked(desktop: Desktop) -> None:
    error = desktop.fail("wrong", [-32603, "Internal error", {"details": "the model\nis on fire"}])
    assert str(error) == "the agent failed: Internal error: the model is on fire"


@pytest.mark.parametrize(
    ("code", "words", "message", "expected"),
    [
        (3, "boom", "the agent ended with code 3 before it had answered: boom", ("agent_failed", True, False, None)),
        (0, "", "the agent ended with code 0 before it had answered", ("agent_failed", True, False, None)),
        (None, "", "the agent closed the connection before it had answered", ("agent_failed", True, False, None)),
        (
            1,
            "HTTP 429",
            "the agent ended with code 1 before it had answered: HTTP 429",
            ("agent_failed", True, True, None),
        ),
        (
            127,
            "sh: x: not found",
            "the agent cannot be started: sh: x: not found",
            ("not_configured", False, False, None),
        ),
    ],
)
def test_the_end_of_the_process_is_classified(code: int | None, words: str, message: str, expected: Any) -> None:
    error = ended(code, words, NONE)
    assert (str(error), kind(error)) == (message, expected)


def test_an_agent_that_dies_says_its_last_words_without_its_keys(desktop: Desktop) -> None:
    error = desktop.fail("breaks")
    assert str(error) == "the agent ended with code 3 before it had answered: last words of [hidden]"
    assert error.transient


def test_an_agent_that_ends_at_once_says_why(desktop: Desktop) -> None:
    error = desktop.fail("dies_at_once")
    assert str(error) == "the agent ended with code 2 before it had answered: usage: agent --wrong"


def test_a_file_that_is_no_program_cannot_be_started(desktop: Desktop) -> None:
    empty = desktop.work / "agent"
    empty.write_text("\x7fELF, not really")
    empty.chmod(0o700)
    error = desktop.fail(config={"command": [str(empty)]})
    assert str(error) == f"the agent cannot be started: {empty}: Exec format error"
    assert kind(error) == ("not_configured", False, False, None)


def test_a_program_that_is_not_there_is_not_started(desktop: Desktop) -> None:
    error = desktop.fail(config={"command": "no-such-agent"})
    assert str(error) == "no-such-agent is not installed on this machine"
    assert kind(error) == ("not_configured", False, False, None)
    assert not desktop.work.parent.joinpath(home_of("work", "agent_1")).exists()


def test_an_agent_of_another_version_of_the_protocol_is_refused(desktop: Desktop) -> None:
    error = desktop.fail("answers", env={"VERSION": "2"})
    assert (str(error), error.transient) == ("the agent speaks version 2 of the protocol, not 1", False)


def test_a_program_that_never_answers_is_given_up(desktop: Desktop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "START_SECONDS", 0.1)
    error = desktop.fail(config={"command": "sleep 60"})
    assert (str(error), error.transient) == ("the agent did not answer within 0 seconds of its start", True)


def test_a_program_that_repeats_what_it_is_told_is_no_agent(desktop: Desktop) -> None:
    error = desktop.fail(config={"command": "cat"})
    assert (str(error), error.transient) == ("the agent failed: Method not found", False)


def test_a_program_that_writes_something_else_is_given_up(desktop: Desktop) -> None:
    error = desktop.fail("babbles")
    assert (str(error), error.transient) == ("the agent writes something that is not the Agent Client Protocol", True)


def test_a_line_without_end_is_given_up_before_it_fills_the_memory(desktop: Desktop) -> None:
    assert str(desktop.fail("floods")) == f"the agent wrote a line of more than {LONGEST_LINE} bytes"


@pytest.mark.parametrize(
    ("reason", "message"),
    [("refusal", "the agent refused to go on"), ("cancelled", "the agent broke its turn off")],
)
def test_a_turn_that_ended_without_an_answer_has_failed(desktop: Desktop, reason: str, message: str) -> None:
    error = desktop.fail("stops", reason, "a beginning")
    assert (str(error), error.transient, error.tokens) == (message, False, 14)


@pytest.mark.parametrize(("reason", "transient"), [("end_turn", True), ("max_tokens", False)])
def test_an_answer_with_nothing_in_it_has_failed(desktop: Desktop, reason: str, transient: bool) -> None:
    error = desktop.fail("stops", reason)
    assert (error.code, error.transient, error.tokens) == ("empty_answer", transient, 14)


def test_secrets_are_hidden_whole_longest_first_and_line_by_line() -> None:
    secrets = Secrets(["sk-abc", "sk-abc-def", "-----BEGIN\nkeykeykey\nEND", "1", "on"])
    assert secrets.hide("sk-abc-def sk-abc 1 on keykeykey") == "[hidden] [hidden] 1 on [hidden]"
