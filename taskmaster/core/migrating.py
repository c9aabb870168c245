"""What migrations do besides what Django writes for them."""

from typing import Any

from django.db import migrations


def drop_pattern_index(table: str) -> migrations.RunPython:
    """Drop the second index that Django gives a text key on PostgreSQL, for `LIKE 'abc%'`, which nobody asks of ids."""

    def drop(_apps: Any, schema_editor: Any) -> None:
        connection = schema_editor.connection
        if connection.vendor != "postgresql":
            return
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT quote_ident(indexname) FROM pg_indexes WHERE schemaname = current_schema()"
                " AND tablename = %s AND indexname LIKE %s",
                [table, f"{table}\\_id\\_%\\_like"],
            )
            for (name,) in cursor.fetchall():
                cursor.execute(f"DROP INDEX {name}")

    return migrations.RunPython(drop, migrations.RunPython.noop)
