"""The page of workflows names all that templates may use."""

from pathlib import Path

from workflows_app.definitions.members import INNER, TYPES
from workflows_app.prompts.comparing import TESTS
from workflows_app.prompts.filters import FILTERS

PAGE = (Path(__file__).parents[2] / "docs/workflows.md").read_text()


def test_every_filter_and_test_is_named():
    assert [name for name in (*FILTERS, *TESTS) if f"`{name}`" not in PAGE and f"`is {name}`" not in PAGE] == []


def test_every_member_of_every_type_stands_in_its_row():
    rows = {line.split("`")[1]: line for line in PAGE.splitlines() if line.startswith("| `")}
    missing = [(kind, name) for kind, table in TYPES.items() for name in table if f"`{name}`" not in rows[kind]]
    assert missing == []
    assert [name for name in TYPES["agent"] if name not in INNER] == []
