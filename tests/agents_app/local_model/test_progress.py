"""A download shows a bar on a terminal and a handful of lines elsewhere."""

from io import StringIO

from agents_app.local_model.progress import Bar


class Terminal(StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


def test_elsewhere_a_line_is_written_every_tenth() -> None:
    out = StringIO()
    bar = Bar("Fetching", out)
    for done in range(0, 500_000_001, 1_000_000):
        bar(done, 500_000_000)
    bar.close()
    lines = out.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[0] == "Fetching: 0 of 500 MB"
    assert lines[5] == "Fetching: 250 of 500 MB"
    assert lines[-1] == "Fetching: 500 of 500 MB"


def test_on_a_terminal_there_is_a_bar() -> None:
    out = Terminal()
    bar = Bar("Fetching", out)
    bar(0, 500_000_000)
    bar(250_000_000, 500_000_000)
    bar.close()
    assert "50%" in out.getvalue()
    assert "250M/500M" in out.getvalue()
    assert out.getvalue().endswith("\n")
