"""A Django database engine: SQLite whose writers queue fairly."""
