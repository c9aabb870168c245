"""A key's second index, for patterns, goes."""

from django.db import migrations

from taskmaster.core.migrating import drop_pattern_index


class Migration(migrations.Migration):
    """On PostgreSQL only."""

    dependencies = [("agents_app", "0002_agents_that_are_there")]

    operations = [drop_pattern_index("agents_app_task")]
