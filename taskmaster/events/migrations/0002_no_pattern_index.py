"""A key's second index, for patterns, goes."""

from django.db import migrations

from taskmaster.core.migrating import drop_pattern_index


class Migration(migrations.Migration):
    """On PostgreSQL only."""

    dependencies = [("events", "0001_initial")]

    operations = [drop_pattern_index("events_event")]
