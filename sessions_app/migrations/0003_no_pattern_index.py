"""A key's second index, for patterns, goes."""

from django.db import migrations

from taskmaster.core.migrating import drop_pattern_index


class Migration(migrations.Migration):
    """On PostgreSQL only."""

    dependencies = [("sessions_app", "0002_sockets")]

    operations = [drop_pattern_index("sessions_app_message")]
