"""Django's settings. Unset, the environment means the embedded mode: SQLite, one process tree, no services."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from taskmaster import env
from taskmaster.secret_key import secret_key

ROOT = Path(__file__).resolve().parent.parent
env.load_dotenv(ROOT / ".env")

try:
    DATA_DIR = Path(os.environ.get("TASKMASTER_DATA_DIR") or ROOT / "var").resolve()
    DATABASE: dict[str, Any] | None = env.read("DATABASE_URL", env.database, None)
    REDIS_URL = env.read("REDIS_URL", env.url("redis", "rediss", "unix"), "")
    BROKER_URL = env.read("CELERY_BROKER_URL", env.url("redis", "rediss", "amqp", "amqps"), REDIS_URL)
    PORT = env.read("PORT", env.whole(0, 65535), 3001)
    HOST = os.environ.get("TASKMASTER_HOST") or "127.0.0.1"
    ALLOWED_HOSTS = env.read("ALLOWED_HOSTS", env.names, ["localhost", "127.0.0.1", "[::1]", "testserver"])
    ALLOWED_ORIGINS: list[str] = env.read("TASKMASTER_ALLOWED_ORIGINS", env.origins, [])
    TRUSTED_PROXIES = env.read("TASKMASTER_TRUSTED_PROXIES", env.whole(0, 10), 0)
    RATE_LIMIT_ANONYMOUS = env.read("TASKMASTER_RATE_LIMIT_ANONYMOUS", env.rate, "100/15m")
    RATE_LIMIT_AUTHENTICATED = env.read("TASKMASTER_RATE_LIMIT_AUTHENTICATED", env.rate, "1000/15m")
    RATE_LIMIT_WEBSOCKET = env.read("TASKMASTER_RATE_LIMIT_WEBSOCKET", env.rate, "50/1m")
    SESSION_IDLE_SECONDS = env.read("TASKMASTER_SESSION_IDLE", env.seconds, 24 * 3600)
    ACTION_EXPIRES_SECONDS = env.read("TASKMASTER_ACTION_EXPIRES", env.seconds, 24 * 3600)
    RETENTION = {
        "events": env.read("TASKMASTER_RETENTION_EVENTS", env.seconds, None),
        "messages": env.read("TASKMASTER_RETENTION_MESSAGES", env.seconds, None),
        "tasks": env.read("TASKMASTER_RETENTION_TASKS", env.seconds, None),
        "actions": env.read("TASKMASTER_RETENTION_ACTIONS", env.seconds, None),
        "workflows": env.read("TASKMASTER_RETENTION_WORKFLOWS", env.seconds, None),
    }
    # Loopback only, whatever the name says; for development, so on where everything runs on one machine.
    WEBHOOK_ALLOW_PRIVATE = env.read("TASKMASTER_WEBHOOK_ALLOW_PRIVATE", env.flag, DATABASE is None)
    WORKSPACE_QUOTA = env.read("TASKMASTER_WORKSPACE_QUOTA", env.size, 100 * 1024**2)
    LOG_LEVEL = env.read("TASKMASTER_LOG_LEVEL", str.upper, "WARNING" if not DATABASE else "INFO")
    WEB_THREADS = env.read("TASKMASTER_WEB_THREADS", env.whole(2, 256), 16)
    MAX_RUNNING = env.read("TASKMASTER_MAX_RUNNING", env.whole(1, 10_000), 256)
    LOCAL_THREADS = env.read("TASKMASTER_LOCAL_THREADS", env.whole(1, 256), max(1, (os.cpu_count() or 2) - 1))
    # Whose machine it is may start what they like; elsewhere an operator names what may be started.
    ACP_COMMANDS: list[str] = env.read("TASKMASTER_ACP_COMMANDS", env.programs, [] if DATABASE else ["*"])
    LOCAL_MODEL = os.environ.get("TASKMASTER_LOCAL_MODEL", "").strip()
    if LOCAL_MODEL not in ("", "off") and not Path(LOCAL_MODEL).is_file():
        raise env.WrongSetting(f"TASKMASTER_LOCAL_MODEL: no file {LOCAL_MODEL!r}; give a GGUF file, or off")
    if LOG_LEVEL not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise env.WrongSetting(f"TASKMASTER_LOG_LEVEL: expected debug, info, warning or error, not {LOG_LEVEL!r}")
    if DATABASE and not (REDIS_URL and BROKER_URL):
        raise env.WrongSetting(
            "REDIS_URL: DATABASE_URL is set, so it is needed too (and a broker, by default the same)"
        )
    if REDIS_URL and not DATABASE:
        raise env.WrongSetting("DATABASE_URL: REDIS_URL is set, so it is needed too")
    SECRET_KEY = secret_key(DATA_DIR, embedded=DATABASE is None)
    SECRET_KEY_FALLBACKS: list[str] = env.read("SECRET_KEY_FALLBACKS", env.names, [])
except env.WrongSetting as error:
    env.stop(error)

EMBEDDED = DATABASE is None
WORKSPACES = DATA_DIR / "workspaces"
# The largest file that can be uploaded; every other body is at most 1 MB.
UPLOAD_BYTES = 25 * 1024**2
VERSION = "1.0.0"
DEBUG = False
APPEND_SLASH = False
ROOT_URLCONF = "taskmaster.urls"
ASGI_APPLICATION = "taskmaster.asgi.application"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = ["taskmaster.formats"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Our own limits come first; a body over 1 MB never gets as far as Django.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "taskmaster.api.exceptions.csrf_failure"
CORS_ALLOW_ALL_ORIGINS = "*" in ALLOWED_ORIGINS
CORS_ALLOWED_ORIGINS = [origin for origin in ALLOWED_ORIGINS if origin != "*"]
CORS_URLS_REGEX = r"^/(api/|openapi\.json|health|livez|readyz)"
CORS_ALLOW_HEADERS = [
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "last-event-id",
    "prefer",
    "x-org-id",
    "x-request-id",
]
CORS_EXPOSE_HEADERS = [
    "Content-Disposition",
    "ETag",
    "Idempotent-Replayed",
    "Location",
    "Retry-After",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "X-Request-ID",
]
CSRF_TRUSTED_ORIGINS = [origin for origin in ALLOWED_ORIGINS if origin != "*"]
SILENCED_SYSTEM_CHECKS = ["django_ratelimit.E003", "django_ratelimit.W001"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "taskmaster.orgs",
    "taskmaster.events",
    "taskmaster.api",
    "agents_app",
    "sessions_app",
    "workflows_app",
    "taskmaster.monitoring",
    "taskmaster.server",
]

MIDDLEWARE = [
    # Before ours: a browser's preflight carries no token.
    "corsheaders.middleware.CorsMiddleware",
    "taskmaster.api.middleware.ApiMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

STATIC_URL = "/static/"
# The admin's files are served from where the packages keep them: there is no collectstatic step to forget.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

if DATABASE is None:
    DATABASES: dict[str, Any] = {
        "default": {
            "ENGINE": "taskmaster.core.sqlite",
            "NAME": DATA_DIR / "taskmaster.sqlite3",
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000; "
                "PRAGMA mmap_size=134217728; PRAGMA temp_store=MEMORY",
            },
        }
    }
    CACHES: dict[str, Any] = {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            # The default of 300 would throw rate counters away.
            "OPTIONS": {"MAX_ENTRIES": 100_000},
        }
    }
    CHANNEL_LAYERS: dict[str, Any] = {
        "default": {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 100_000}}
    }
else:
    DATABASES = {
        "default": {
            **DATABASE,
            "CONN_MAX_AGE": 0,
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": {
                "pool": {
                    "min_size": 4,
                    "max_size": env.read("TASKMASTER_DB_POOL", env.whole(4, 200), 20),
                    "timeout": 10,
                }
            },
        }
    }
    CACHES = {"default": {"BACKEND": "taskmaster.core.redis_cache.Cache", "LOCATION": REDIS_URL}}
    # Redis keeps its databases apart, but not its channels.
    CHANNEL_PREFIX = f"taskmaster{urlsplit(REDIS_URL).path.replace('/', ':')}"
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            # The client's default read timeout would close an idle subscription after seconds.
            "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": None}], "prefix": CHANNEL_PREFIX},
        }
    }

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": ["taskmaster.api.parsers.StrictJsonParser"],
    "DEFAULT_RENDERER_CLASSES": ["taskmaster.api.envelope.EnvelopeRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "taskmaster.api.envelope.OneRenderer",
    "DEFAULT_SCHEMA_CLASS": "taskmaster.api.schema.EnvelopeSchema",
    "EXCEPTION_HANDLER": "taskmaster.api.exceptions.handle",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
}

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"only-faults": {"()": "taskmaster.core.log.OnlyFaults"}},
    "formatters": {"json": {"()": "taskmaster.core.log.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # Every 4xx is in the answer already.
        "django.request": {"level": "ERROR", "filters": ["only-faults"]},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "daphne": {"level": "WARNING"},
        "celery": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
    },
}

from taskmaster.openapi import SPECTACULAR_SETTINGS  # noqa: E402, F401
