"""The chat that a model is sent stays within its bound, and the oldest falls out first."""

from agents_app.backends.base import Request, Turn
from agents_app.backends.wire.chat import chat, shortened

from .stand_in import message

TALK = [Turn("user" if n % 2 == 0 else "assistant", f"turn {n:04}") for n in range(10)]


def contents(request: Request, limit: int, system: str = "") -> list[str]:
    return [turn["content"] for turn in chat(request, system=system, limit=limit)]


def test_all_of_a_short_conversation_is_sent() -> None:
    assert contents(message("now?", messages=TALK), 1_000) == [t.content for t in TALK] + ["now?"]


def test_the_oldest_turns_fall_out_first() -> None:
    # Five characters of system, four of question, 36 for four turns of nine.
    kept = contents(message("now?", messages=TALK), 5 + 4 + 36, system="Brief")
    assert kept == ["Brief", "turn 0006", "turn 0007", "turn 0008", "turn 0009", "now?"]


def test_an_answer_whose_question_fell_out_goes_with_it() -> None:
    assert contents(message("now?", messages=TALK), 4 + 27) == ["turn 0008", "turn 0009", "now?"]


def test_the_bound_holds_for_every_length() -> None:
    for limit in range(40, 300):
        sent = contents(message("q" * 100, messages=TALK), limit, system="s" * 20)
        assert sum(map(len, sent)) <= limit


def test_a_question_that_alone_is_too_long_loses_its_middle() -> None:
    text = "start" + "x" * 5_000 + "end"
    short = shortened(text, 200)
    assert len(short) <= 200
    assert short.startswith("startx")
    assert short.endswith("xend")
    assert "characters left out" in short


def test_a_text_that_fits_is_untouched() -> None:
    assert shortened("x" * 200, 200) == "x" * 200


def test_neighbours_of_one_role_become_one_turn() -> None:
    talk = [Turn("user", "one"), Turn("user", "two")]
    sent = chat(message("three", messages=talk), system="", limit=1_000)
    assert sent == [{"role": "user", "content": "one\n\ntwo\n\nthree"}]


def test_a_message_shows_no_requirements() -> None:
    assert contents(message("hi", requirements=["secret"], context={"a": 1}), 1_000) == ["hi"]


def test_a_long_text_of_the_context_that_is_in_the_question_is_not_told_twice() -> None:
    diff, other = "- a\n+ b\n" * 20, "x" * 100
    context = {"diff": diff, "other": other, "language": "a", "n": 1}
    request = Request("task_1", "org_1", "agent_1", "review", f"The changes:\n{diff}\nReview them.", context=context)
    (sent,) = contents(request, 2_000)
    assert sent.count("+ b") == 20
    assert sent.endswith(f'"other": "{other}",\n "language": "a",\n "n": 1\n}}')
