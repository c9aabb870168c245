"""What lies in `core` needs hardly any settings: these tests also run without the project's, and without its database."""

from collections.abc import Iterator

import django
import pytest
from django.conf import settings

if not settings.configured:
    settings.configure(SECRET_KEY="a-key-for-tests", USE_TZ=True, BROKER_URL="", EMBEDDED=True)
    django.setup()


@pytest.fixture
def own_databases(request: pytest.FixtureRequest) -> Iterator[None]:
    """Connections that a test makes for itself are none of the test database's business."""
    if not request.config.pluginmanager.hasplugin("django"):
        yield
        return
    with request.getfixturevalue("django_db_blocker").unblock():
        yield
