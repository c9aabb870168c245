"""What lies in `core` needs hardly any settings: most of its tests also run without the project's."""

from collections.abc import Iterator

import django
import pytest
from django.conf import settings
from hypothesis import settings as hypothesis_settings

if not settings.configured:
    settings.configure(SECRET_KEY="a-key-for-tests", USE_TZ=True, BROKER_URL="", EMBEDDED=True)
    django.setup()


# A busy machine is no failure.
hypothesis_settings.register_profile("core", deadline=None)
hypothesis_settings.load_profile("core")


@pytest.fixture
def own_databases(request: pytest.FixtureRequest) -> Iterator[None]:
    """Connections that a test makes for itself are none of the test database's business."""
    if not request.config.pluginmanager.hasplugin("django"):
        yield
        return
    with request.getfixturevalue("django_db_blocker").unblock():
        yield
