"""What clients may send, and what their errors look like."""

import pytest

from sessions_app.sockets.allowance import Allowance
from sessions_app.sockets.frames import (
    LONGEST_REF,
    SMALL,
    error_frame,
    framed,
    limited_frame,
    parsed,
    ref_of,
    ref_of_dropped,
    wire,
)
from taskmaster.core.errors import ApiError, BadRequest, InvalidState, RateLimited, ValidationFailed

from .fakes import unframed


def test_a_frame_is_a_json_object():
    assert parsed('{"type": "ping", "ref": "ä"}') == {"type": "ping", "ref": "ä"}


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        " ",
        "{",
        "null",
        "[]",
        '"ping"',
        "1",
        '{"type": "ping", "type": "ping"}',
        '{"type": "ping", "x": NaN}',
        '{"type": "ping", "x": 1e400}',
        '{"type": "ping", "x": 9007199254740992}',
        '{"type": "ping", "x": "\\u0000"}',
        '{"type": "ping", "x": "\\ud800"}',
        '{"type": "ping", "x": "\ud800"}',
        '{"type": "ping", "x": ' + "[" * 101 + "]" * 101 + "}",
        '{"type": "ping", "x": ' + "1" * 5000 + "}",
        '\ufeff{"type": "ping"}',
    ],
)
def test_what_is_no_frame_is_refused(text):
    with pytest.raises(BadRequest):
        parsed(text)


@pytest.mark.parametrize("ref", ["a", "", 0, 7, 1.5, False, [1], {"a": [None]}, "x" * (LONGEST_REF - 2)])
def test_a_ref_is_any_json_value_and_echoed(ref):
    assert ref_of({"type": "ping", "ref": ref}) == {"ref": ref}


@pytest.mark.parametrize("frame", [{}, {"ref": None}])
def test_no_ref_is_no_ref(frame):
    assert ref_of(frame) == {}


@pytest.mark.parametrize("ref", ["x" * LONGEST_REF, ["ä" * (LONGEST_REF // 2)]])
def test_a_ref_that_is_too_long_is_refused(ref):
    with pytest.raises(ValidationFailed):
        ref_of({"ref": ref})


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ('{"type": "ping", "ref": 7}', {"ref": 7}),
        ('{"type": "ping"}', {}),
        (None, {}),
        ("{", {}),
        ('{"ref": "' + "x" * LONGEST_REF + '"}', {}),
        ('{"ref": 7, "x": "' + "x" * SMALL + '"}', {}),
    ],
)
def test_the_ref_of_a_dropped_frame_is_read_where_that_is_cheap(text, ref):
    assert ref_of_dropped(text) == ref


@pytest.mark.parametrize(
    ("error", "frame"),
    [
        (BadRequest("No."), {"code": "bad_request", "error": "No."}),
        (ApiError(), {"code": "internal_error", "error": "Something went wrong on our side."}),
        (RateLimited("Slow.", retry_after=3), {"code": "rate_limited", "error": "Slow.", "retryAfter": 3000}),
        (
            InvalidState("Over.", details=[{"field": "status", "message": "expired"}]),
            {"code": "invalid_state", "error": "Over.", "details": [{"field": "status", "message": "expired"}]},
        ),
    ],
)
def test_an_error_has_a_code_a_text_and_what_else_there_is(error, frame):
    assert error_frame(error, messageId="m") == {"type": "error", **frame, "messageId": "m"}


def test_one_frame_too_many_is_told_when_to_come_back():
    frame = limited_frame(1234)
    assert (frame["type"], frame["code"], frame["retryAfter"]) == ("error", "rate_limited", 1234)


def test_frames_of_all_sizes_can_be_read():
    texts = ["x" * size for size in (0, 100, 110, 125, 126, 65_500, 65_535, 65_536, 300_000)]
    assert unframed(b"".join(wire({"x": text}) for text in texts)) == [{"x": text} for text in texts]
    assert framed(b"{}") == b"\x81\x02{}"


class Clock:
    """Stands still until it is set."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_so_many_frames_may_pass_in_any_window():
    clock = Clock()
    allowance = Allowance("3/1m", clock)
    for moment, wait in ((0, 0), (10, 0), (20, 0), (30, 30_000), (59.5, 500), (59.9999, 1), (60, 0), (60, 10_000)):
        clock.now = 1000.0 + moment
        assert allowance.take() == wait, moment
    clock.now = 1200.0
    assert [allowance.take() for _ in range(4)] == [0, 0, 0, 60_000]


@pytest.mark.parametrize(("rate", "wait"), [("1/10s", 10_000), ("1/2m", 120_000), ("1/1h", 3_600_000)])
def test_a_window_has_the_length_that_its_rate_says(rate, wait):
    allowance = Allowance(rate, Clock())
    assert [allowance.take(), allowance.take()] == [0, wait]
