"""An answer in pieces: never a wrong one, whatever is lost on the way."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sessions_app.sockets.following import MOST_WAITING, Following


def piece(content, offset, attempt=1):
    return {"event": "delta", "content": content, "offset": offset, "attempt": attempt}


def told(content, offset):
    return {"type": "delta", "messageId": "m", "content": content, "offset": offset}


def test_pieces_are_told_as_they_come():
    following = Following("m", {})
    for content, offset in (("He", 0), ("llo", 2)):
        following.hear(piece(content, offset))
        assert following.piece() == told(content, offset)
    assert following.piece() is None
    assert following.rest("Hello") is None


def test_what_could_not_be_told_comes_with_the_next_piece():
    following = Following("m", {})
    for content, offset in (("He", 0), ("l", 2), ("lo", 3)):
        following.hear(piece(content, offset))
    assert following.piece() == told("Hello", 0)


def test_what_was_lost_comes_at_the_end():
    following = Following("m", {})
    following.hear(piece("He", 0))
    assert following.piece() == told("He", 0)
    following.hear(piece("o", 4))
    assert following.piece() is None
    assert following.rest("Hello, you") == told("llo, you", 2)
    assert following.rest("Hello, you") is None


def test_whoever_was_told_no_piece_gets_the_answer_alone():
    following = Following("m", {})
    following.hear(piece("lo", 3))
    assert following.rest("Hello") is None


def test_an_agent_that_begins_anew_is_told_from_the_beginning():
    following = Following("m", {})
    following.hear(piece("Good ev", 0))
    following.piece()
    following.hear(piece("Hello", 0, attempt=2))
    assert following.piece() == told("Hello", 0)
    # Late, and of no use any more.
    following.hear(piece("ening", 7))
    assert following.piece() is None
    assert following.rest("Hello!") == told("!", 5)


def test_an_answer_that_is_another_than_its_pieces_is_not_pieced_together():
    following = Following("m", {})
    following.hear(piece("  Hello", 0))
    following.piece()
    assert following.rest("Hello") is None
    assert following.rest("Hello, world and all") is None


def test_what_waits_for_a_client_is_bounded():
    following = Following("m", {})
    size = MOST_WAITING // 4
    for number in range(100):
        following.hear(piece("x" * size, number * size))
    assert len(following.piece()["content"]) == MOST_WAITING
    assert following.rest("x" * 100 * size) == told("x" * 96 * size, MOST_WAITING)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.lists(st.text(min_size=1, max_size=4), max_size=8), min_size=1, max_size=3),
    st.randoms(use_true_random=False),
)
def test_the_pieces_are_the_answer_whatever_is_lost_or_late(attempts, dice):
    """Pieces of each attempt, some lost, some heard twice, told now or later."""
    following, shown, texts = Following("m", {}), "", []
    for number, pieces in enumerate(attempts, 1):
        texts.append("")
        for text in pieces:
            for _ in range(dice.choice([0, 1, 1, 1, 2])):
                following.hear(piece(text, len(texts[-1]), number))
            texts[-1] += text
            shown = after(following.piece() if dice.random() < 0.6 else None, shown)
            # An attempt of which nothing was heard yet is not known of.
            assert any(text.startswith(shown) for text in texts)
    before = shown
    shown = after(following.rest(texts[-1]), shown)
    assert shown in (texts[-1], before)


def after(frame, shown):
    """What the client has then."""
    if frame is None:
        return shown
    assert frame["content"]
    assert frame["offset"] in (0, len(shown))
    return shown[: frame["offset"]] + frame["content"]
