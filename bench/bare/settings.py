"""The fewest settings that work, and no middleware; Django's defaults for everything else."""

import os
from typing import Any

import environ

SECRET_KEY = "not-a-secret"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "bench.bare.urls"
MIDDLEWARE: list[str] = []
INSTALLED_APPS = ["rest_framework", "bench.bare"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DATABASES: dict[str, Any] = {"default": environ.Env.db_url_config(os.environ.get("BARE_DATABASE", "sqlite://:memory:"))}
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
}
REDIS = os.environ.get("BARE_REDIS", "")
CHANNEL_LAYERS: dict[str, Any] = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        # Without this the client of today closes what is idle for five seconds.
        "CONFIG": {"hosts": [{"address": REDIS, "socket_timeout": None}], "prefix": os.environ["BARE_PREFIX"]},
    }
    if REDIS
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}
