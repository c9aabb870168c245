"""A key's second index, for patterns, goes."""

from django.db import migrations

from taskmaster.core.migrating import drop_pattern_index


class Migration(migrations.Migration):
    """On PostgreSQL only."""

    dependencies = [("workflows_app", "0002_trigger_index_and_help")]

    operations = [drop_pattern_index("workflows_app_workflow")]
