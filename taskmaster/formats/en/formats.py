"""Times as operators compare them with logs and answers of the API; the time zone is always UTC."""

DATETIME_FORMAT = r"Y-m-d H:i:s\Z"
