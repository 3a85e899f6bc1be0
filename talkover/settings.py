"""Settings, read from the environment: the only module that does. docs/configuration.md lists all.

Without DATABASE_URL and REDIS_URL the product runs on its embedded default: SQLite, and a broker
made of files. Secrets come from the environment, or on a first local run from `var/local.env`.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var"))).resolve()
# Written by `manage.py run_local`; what the environment says itself has precedence.
environ.Env.read_env(env.str("ENV_FILE", default=str(VAR_DIR / "local.env")))

# Security --------------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
# Empty values are refused by talkover.environments.checks, with the remedy.
SECRET_KEY = env.str("SECRET_KEY", default="")
# "key-id:base64,older-id:base64", 32 bytes each: the first encrypts, all decrypt.
CREDENTIAL_KEYS = env.str("CREDENTIAL_KEYS", default="")

PUBLIC_BASE_URL = env.str("PUBLIC_BASE_URL", default="http://127.0.0.1:8000").rstrip("/")
_public_is_https = PUBLIC_BASE_URL.startswith("https://")
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=[PUBLIC_BASE_URL.split("://", 1)[-1].split(":")[0], "127.0.0.1"]
)
CSRF_TRUSTED_ORIGINS = [PUBLIC_BASE_URL]
# A proxy ends TLS before us; what it says of the protocol and the caller's address is believed.
BEHIND_TLS_PROXY = env.bool("BEHIND_TLS_PROXY", default=_public_is_https)
if BEHIND_TLS_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=_public_is_https)
# Load balancers ask for these from inside, without TLS.
SECURE_REDIRECT_EXEMPT = [r"^health$", r"^ready$", r"^api/v1/health$"]
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31536000 if _public_is_https else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool(
    "SECURE_HSTS_INCLUDE_SUBDOMAINS", default=_public_is_https
)
SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_PRELOAD", default=_public_is_https)
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _public_is_https
# The database holds digests of the sessions' ids only.
SESSION_ENGINE = "talkover.environments.sessions"
SESSION_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

# Applications ----------------------------------------------------------------------------------

INSTALLED_APPS = [
    "talkover.environments",
    "calendars",
    "providers",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "allauth",
    "allauth.account",
]
MIDDLEWARE = [
    "talkover.api.middleware.HeadMiddleware",
    "talkover.api.middleware.RequestIdMiddleware",
    "talkover.api.middleware.ApiAnswerMiddleware",
    "talkover.api.middleware.ProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "talkover.urls"
WSGI_APPLICATION = "talkover.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Data ------------------------------------------------------------------------------------------

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'talkover.sqlite3'}")
}
_database = DATABASES["default"]
if _database["ENGINE"] == "django.db.backends.sqlite3":
    # Web and worker write at once: WAL lets readers go on, IMMEDIATE takes the write lock where
    # waiting is still possible (a deferred transaction that upgrades fails at once).
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    # Persistent connections: measured faster than the pool under gthread workers.
    _database["CONN_MAX_AGE"] = env.int("DATABASE_CONN_MAX_AGE", default=600)
    _database["CONN_HEALTH_CHECKS"] = True
    # talkover.statements lets the server keep the plans of what is asked most.
    _prepare = env.bool("DATABASE_PREPARE", default=True)
    _database.setdefault("OPTIONS", {})["prepare_threshold"] = 0 if _prepare else None
    if _database["ENGINE"] == "django.db.backends.postgresql":
        # A host that swallows packets must not hold a request for the kernel's two minutes.
        _database.setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)

REDIS_URL = env.str("REDIS_URL", default="")
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "talkover",
        # A request does without it rather than wait.
        "OPTIONS": {"socket_connect_timeout": 0.5, "socket_timeout": 0.5},
    }
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "talkover"}
}

# Background work -------------------------------------------------------------------------------

_broker_dir = VAR_DIR / "broker"
CELERY_BROKER_URL = REDIS_URL or "filesystem://localhost//"  # a host, or kombu warns
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = (
    {
        # Above the longest task; a message lost with its worker is not needed again: the
        # database knows what is due (providers.scheduler).
        "visibility_timeout": 3600,
        "unacked_restore_interval": 10,
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
    }
    if REDIS_URL
    else {
        "data_folder_in": str(_broker_dir / "queue"),
        "data_folder_out": str(_broker_dir / "queue"),
        "control_folder": str(_broker_dir / "control"),
        "polling_interval": 0.1,
    }
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# A web request must not hang on a broker that is away: the database's scheduler will catch up.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_max": 0.2}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
# Two queues, so that workers can be dedicated; a worker that is not told otherwise serves both.
CELERY_TASK_DEFAULT_QUEUE = "talkover"
CELERY_TASK_QUEUES: dict[str, dict[str, Any]] = {"talkover": {}, "sync": {}}
CELERY_TASK_ROUTES = {"providers.tasks.sync_external_calendar": {"queue": "sync"}}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "celerybeat-schedule")
_housekeeping_seconds = env.float("HOUSEKEEPING_SECONDS", default=60.0)
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "dispatch-due-syncs": {
        "task": "providers.tasks.dispatch_due_syncs",
        "schedule": env.float("SYNC_DISPATCH_SECONDS", default=5.0),
        "options": {"expires": 60},
    },
    "housekeeping": {
        "task": "providers.tasks.housekeeping",
        "schedule": _housekeeping_seconds,
        "options": {"expires": 300},
    },
    "renew-channels": {
        "task": "providers.tasks.renew_channels",
        "schedule": _housekeeping_seconds,
        "options": {"expires": 60},
    },
}

# Connecting and syncing ------------------------------------------------------------------------

AUTHORIZATION_REQUEST_SECONDS = env.int("AUTHORIZATION_REQUEST_SECONDS", default=600)
PENDING_CONNECTIONS_PER_CALENDAR = env.int("PENDING_CONNECTIONS_PER_CALENDAR", default=10)
AUTHORIZATION_STARTS_PER_MINUTE = env.int("AUTHORIZATION_STARTS_PER_MINUTE", default=20)
SELECTED_CALENDARS_PER_CONNECTION = env.int("SELECTED_CALENDARS_PER_CONNECTION", default=20)
SYNC_INTERVAL_SECONDS = env.int("SYNC_INTERVAL_SECONDS", default=300)
SYNC_INTERVAL_QUIET_SECONDS = env.int("SYNC_INTERVAL_QUIET_SECONDS", default=1800)
SYNC_INTERVAL_WITH_PUSH_SECONDS = env.int("SYNC_INTERVAL_WITH_PUSH_SECONDS", default=3600)
# auto: for providers that can reach PUBLIC_BASE_URL (providers.channels).
PUSH_NOTIFICATIONS = env.str("PUSH_NOTIFICATIONS", default="auto", choices=("auto", "on", "off"))
SYNC_LEASE_SECONDS = env.int("SYNC_LEASE_SECONDS", default=30)
# Half of what one worker does at once: a provider that answers slowly leaves the rest to others.
SYNC_BUDGET_PER_CONFIGURATION = env.int(
    "SYNC_BUDGET_PER_CONFIGURATION",
    default=max(1, env.int("CELERY_WORKER_CONCURRENCY", default=os.cpu_count() or 1) // 2),
)
# "host:port" pairs that may be reached without TLS and at addresses that are not public.
OUTBOUND_ALLOWED_HOSTS = frozenset(env.list("OUTBOUND_ALLOWED_HOSTS", default=[]))
# Networks (CIDR) of the operator's own that count as public; TLS and the usual ports still apply.
OUTBOUND_ALLOWED_NETWORKS = frozenset(env.list("OUTBOUND_ALLOWED_NETWORKS", default=[]))
OUTBOUND_READ_TIMEOUT_SECONDS = env.float("OUTBOUND_READ_TIMEOUT_SECONDS", default=15.0)
OUTBOUND_TOTAL_TIMEOUT_SECONDS = env.float("OUTBOUND_TOTAL_TIMEOUT_SECONDS", default=30.0)

# People ----------------------------------------------------------------------------------------

AUTH_USER_MODEL = "environments.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "calendar-list"
ACCOUNT_ADAPTER = "talkover.environments.accounts.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
# Whom a backend created has no password: a code by mail signs them in.
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Talkover calendars <noreply@localhost>")

# API -------------------------------------------------------------------------------------------

API_MAX_BODY_BYTES = env.int("API_MAX_BODY_BYTES", default=1_000_000)
DATA_UPLOAD_MAX_MEMORY_SIZE = API_MAX_BODY_BYTES
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "talkover.environments.authentication.EnvironmentTokenAuthentication"
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["talkover.api.renderers.EnvelopeRenderer"],
    "DEFAULT_PARSER_CLASSES": ["talkover.api.parsers.BoundedJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "talkover.api.negotiation.JSONOnlyNegotiation",
    "DEFAULT_PAGINATION_CLASS": "talkover.api.pagination.PageNumberPagination",
    "DEFAULT_THROTTLE_CLASSES": ["talkover.api.throttling.EnvironmentRateThrottle"],
    "DEFAULT_SCHEMA_CLASS": "talkover.api.schema.EnvelopeAutoSchema",
    "EXCEPTION_HANDLER": "talkover.api.exceptions.exception_handler",
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%SZ",
    "UNAUTHENTICATED_USER": None,
    "NON_FIELD_ERRORS_KEY": "body",
}
IDEMPOTENCY_STORE = "talkover.environments.idempotency.IdempotencyStore"
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Talkover Calendar Core",
    "DESCRIPTION": (BASE_DIR / "talkover" / "api" / "introduction.md").read_text(),
    "VERSION": "1",
    "LICENSE": {"name": "MIT"},
    "TAGS": [
        {"name": "Environment", "description": "What a token belongs to."},
        {"name": "People", "description": "Whose calendars these are."},
        {"name": "Calendars", "description": "One per person and purpose."},
        {"name": "Provider connections", "description": "Where a calendar's events come from."},
        {"name": "Sync", "description": "How fresh the events are."},
        {"name": "Events", "description": "What the providers hold, as one list."},
        {"name": "Service", "description": "The service itself."},
    ],
    "PATH_CONVERTER_OVERRIDES": {"id": {"type": "string", "format": "uuid"}},
    # In two shapes of a connection: by itself it would be called after neither.
    "ENUM_NAME_OVERRIDES": {"ConnectionStatusEnum": "providers.api.serializers.STATUSES"},
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "talkover.api.links.add_links",
    ],
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# The rest --------------------------------------------------------------------------------------

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(BASE_DIR / "staticfiles")))
STATICFILES_DIRS = [BASE_DIR / "static"]
# Serves from the finders, without a collectstatic step; production's release step collects.
WHITENOISE_USE_FINDERS = env.bool("WHITENOISE_USE_FINDERS", default=not STATIC_ROOT.is_dir())
if WHITENOISE_USE_FINDERS:
    warnings.filterwarnings("ignore", message="No directory at", module="whitenoise|django")

DEFAULT_EXCEPTION_REPORTER = "talkover.api.reports.Reporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "talkover.api.reports.ReportFilter"
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "request_id": {"()": "talkover.api.logs.RequestIdFilter"},
        "redact": {"()": "talkover.api.logs.RedactionFilter"},
    },
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"}
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["request_id", "redact"],
        }
    },
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        # Takes Django's own handlers away (a debug console, mail to ADMINS): they redact nothing.
        "django": {"handlers": []},
        "django.server": {"handlers": ["console"], "propagate": False},
        # Scanners name any host; what they get is a 400, and a line of django.request.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "urllib3": {"level": "WARNING"},
        "authlib": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
    },
}
