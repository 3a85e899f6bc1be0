"""Django settings of the sandbox. Nothing here is shared with the product."""

from urllib.parse import urlsplit

from providers.sandbox import environment, switches
from providers.sandbox.oauth.scopes import SCOPES

SANDBOX = environment.read()

SECRET_KEY = SANDBOX.secret_key
DEBUG = False
ALLOWED_HOSTS = [
    "127.0.0.1",
    "localhost",
    "[::1]",
    urlsplit(SANDBOX.public_url).hostname or "127.0.0.1",
    *SANDBOX.allowed_hosts,
]
ROOT_URLCONF = "providers.sandbox.urls"
APPEND_SLASH = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 32_000_000  # a raw event may be large
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "sandbox.Account"
OAUTH2_PROVIDER_APPLICATION_MODEL = "oauth2_provider.Application"  # migrations look it up here

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "oauth2_provider",
    "providers.sandbox.apps.SandboxConfig",
]
# Installed because the toolkit imports them; nothing uses their tables, so their history is
# skipped.
MIGRATION_MODULES = {"auth": None, "contenttypes": None}
MIDDLEWARE = [
    "providers.sandbox.middleware.ControlGuard",
    "providers.sandbox.middleware.TroubleAndLog",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": SANDBOX.database,
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": (
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA mmap_size=268435456;"
            ),
        },
    }
}

# Cookies do not know ports: the product runs on the same host, so the names must differ from
# Django's own.
CSRF_COOKIE_NAME = "sandbox_csrf"
CSRF_COOKIE_SECURE = SANDBOX.public_url.startswith("https:")
CSRF_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = [SANDBOX.public_url]
CSRF_FAILURE_VIEW = "providers.sandbox.pages.csrf_failure"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

OAUTH2_PROVIDER = {
    "SCOPES": SCOPES,
    "OAUTH2_VALIDATOR_CLASS": "providers.sandbox.oauth.validator.Validator",
    "ACCESS_TOKEN_GENERATOR": "providers.sandbox.oauth.validator.new_access_token",
    "REFRESH_TOKEN_GENERATOR": "providers.sandbox.oauth.validator.new_refresh_token",
    "AUTHORIZATION_CODE_EXPIRE_SECONDS": 600,
    "EXTRA_SERVER_KWARGS": {"token_expires_in": switches.access_token_seconds},
    "PKCE_REQUIRED": False,  # Google asks for it, and takes clients without
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "OIDC_ENABLED": True,
    "OIDC_ISS_ENDPOINT": SANDBOX.public_url,
    "OIDC_RSA_PRIVATE_KEY": SANDBOX.signing_key,
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": False,  # see oauth.validator: earlier tokens live on
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    # Refused requests are the sandbox's daily bread; they are in /control/requests, not on the
    # screen.
    "loggers": {
        "django.request": {"level": "ERROR"},
        "oauth2_provider": {"level": "ERROR"},
        "oauthlib": {"level": "ERROR"},
    },
}
