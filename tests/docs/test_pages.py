"""Pages that are made from the code are up to date."""

from django.conf import settings

from taskmaster.server.management.commands.write_docs import errors_page


def test_the_error_page_is_up_to_date():
    assert (settings.ROOT / "docs" / "errors.md").read_text() == errors_page(), "run manage.py write_docs"
