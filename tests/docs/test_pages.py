"""Pages that are made from the code are up to date."""

import pytest
from django.conf import settings

from taskmaster.server.management.commands.write_docs import PAGES


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_up_to_date(name):
    assert (settings.ROOT / "docs" / name).read_text() == PAGES[name](), "run manage.py write_docs"


def test_the_readme_names_the_page():
    readme = (settings.ROOT / "README.md").read_text()
    assert [name for name in PAGES if f"(docs/{name})" not in readme] == []
