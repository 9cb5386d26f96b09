"""Every setting of Dashtam, each from the environment; `.env.example` names them all."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import django_stubs_ext
import environ
from django.utils.translation import gettext_lazy as _

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(os.environ.get("DASHTAM_ENV_FILE", BASE_DIR / ".env"))

# Who this installation is, and its secrets (`manage.py up` refuses a missing or wrong key).
SECRET_KEY = env.str("SECRET_KEY")
DASHTAM_KEYS = env.str("DASHTAM_KEYS")
DASHTAM_FINGERPRINT_KEY = env.str("DASHTAM_FINGERPRINT_KEY")
DEBUG = env.bool("DEBUG", default=False)
HOST = env.str("HOST", default="127.0.0.1")
PORT = env.int("PORT", default=8000)
PUBLIC_URL = env.str("PUBLIC_URL", default=f"http://localhost:{PORT}").rstrip("/")
DASHTAM_ROLE = env.str("DASHTAM_ROLE", default="command")

_public = urlsplit(PUBLIC_URL)
_is_https = _public.scheme == "https"
ALLOWED_HOSTS = [
    *env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"]),
    _public.hostname or "localhost",
]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL, *env.list("CSRF_TRUSTED_ORIGINS", default=[])]
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=1 if _is_https else 0)

INSTALLED_APPS = [
    "daphne",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    # Before our own: their pages of the admin are replaced by ours, their signals come first.
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "dashtam",
    "django.contrib.admin",
    "accounts",
    "transactions",
    "holdings",
    "connections",
    "imports",
    "channels",
    "django_htmx",
    "django_q",
]

MIDDLEWARE = [
    "dashtam.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "dashtam.devices.DevicesMiddleware",
    "dashtam.middleware.PrivatePagesMiddleware",
    "dashtam.middleware.BodyLimitMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "dashtam.urls"
ASGI_APPLICATION = "dashtam.asgi.application"

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

# Data: SQLite beside the code unless DATABASE_URL says PostgreSQL.
DATABASES = {
    "default": env.db("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'data/dashtam.sqlite3'}")
}
_database = DATABASES["default"]
if _database["ENGINE"].endswith("sqlite3"):
    _database["OPTIONS"] = {
        "timeout": 30,
        "transaction_mode": "IMMEDIATE",
        "init_command": (
            "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;"
            "PRAGMA cache_size=-20000;PRAGMA temp_store=MEMORY;"
        ),
    }
    _test_name = env.str("TEST_DATABASE_NAME", default=str(BASE_DIR / "data/test.sqlite3"))
    _database["TEST"] = {"NAME": _test_name}
else:
    # A server that is away is said to be away within seconds, and found again when it is back.
    _given = {"connect_timeout": 5, **_database.get("OPTIONS", {})}
    if DASHTAM_ROLE in ("web", "worker"):
        # A process that freezes in a transaction must not keep its locks: none is idle for so long.
        _given = {"options": "-c idle_in_transaction_session_timeout=90s", **_given}
    _database["OPTIONS"] = _given
    if DASHTAM_ROLE == "web":
        # Under ASGI each request has a thread of its own: only a pool keeps connections bounded.
        _size = env.int("DATABASE_POOL", default=20)
        _wait = {"timeout": 5, "reconnect_timeout": 5}
        _database["OPTIONS"]["pool"] = {"min_size": 1, "max_size": _size, **_wait}
# A pool does not survive the worker's fork; one lasting connection per worker process does.
_database["CONN_MAX_AGE"] = 300 if DASHTAM_ROLE == "worker" else 0
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", default="")
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

# The queue lives in the database. `retry` exceeds the longest a task may wait and run together.
Q_CLUSTER = {
    "name": "dashtam",
    "orm": "default",
    "workers": env.int("WORKERS", default=2),
    "queue_limit": 2,
    "timeout": 300,
    "retry": 1200,
    "max_attempts": 3,
    "ack_failures": True,
    "save_limit": -1,
    "catch_up": False,
    "poll": 0.2,
    "max_rss": 300_000,
}

if not _database["ENGINE"].endswith("sqlite3"):
    Q_CLUSTER["broker_class"] = "dashtam.broker.SkipLocked"
# What runs by the clock: the task, and every how many minutes.
SCHEDULES = {
    "connections.tasks.rescue": 1,
    "connections.tasks.sync_due": 1,
    "connections.tasks.tell": 1,
    "imports.tasks.close": 1,
    "imports.tasks.clear": 60,
    "dashtam.tasks.beat": 1,
    "dashtam.tasks.prune": 24 * 60,
}

# People: allauth owns the doors, at /auth/.
AUTH_USER_MODEL = "dashtam.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTH_PASSWORD_VALIDATORS[1]["OPTIONS"] = {"min_length": 10}  # type: ignore[assignment]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "dashboard"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_LOGIN_ON_PASSWORD_RESET = True
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 15 * 60
ACCOUNT_ADAPTER = "dashtam.people.AccountAdapter"
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXY_COUNT
SIGN_UP_OPEN = env.bool("SIGN_UP_OPEN", default=True)

# Second factors and passkeys. A code counts for the half minute before and after its own.
# MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN stays off: it would accept an answer made for any other site,
# and localhost counts as secure without it.
MFA_ADAPTER = "dashtam.second_factors.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "Dashtam"
MFA_TOTP_TOLERANCE = 1
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_PASSKEY_LOGIN_ENABLED = MFA_PASSKEY_SIGNUP_ENABLED = True
MFA_FORMS = {
    name: f"dashtam.second_factors.{form}"
    for name, form in {
        "authenticate": "CodeForm",
        "reauthenticate": "CodeAgainForm",
        "activate_totp": "AddAppForm",
        "add_webauthn": "AddPasskeyForm",
        "signup_webauthn": "FirstPasskeyForm",
        "authenticate_webauthn": "PasskeyForm",
        "login_webauthn": "PasskeySignInForm",
        "reauthenticate_webauthn": "PasskeyAgainForm",
    }.items()
}
ADMIN_NEEDS_SECOND_FACTOR = env.bool("ADMIN_NEEDS_SECOND_FACTOR", default=_is_https)

# Single sign-on by OpenID Connect: one server, which the operator trusts to know people.
OIDC_NAME = env.str("OIDC_NAME", default="Single sign-on")
OIDC_SERVER_URL = env.str("OIDC_SERVER_URL", default="").rstrip("/")
OIDC_CLIENT_ID = env.str("OIDC_CLIENT_ID", default="")
OIDC_CLIENT_SECRET = env.str("OIDC_CLIENT_SECRET", default="")
SOCIALACCOUNT_ADAPTER = "dashtam.single_sign_on.SingleSignOnAdapter"
# An address that the server tells of lets nobody into an account that is here already.
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_REQUESTS_TIMEOUT = 10
SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True}}

# Providers: {SLUG}_CLIENT_ID and its like, as the environment has them. The bank in the box takes
# every provider's place; a system check refuses it on an https address.
PROVIDERS = {
    name: value
    for name, value in os.environ.items()
    if name.endswith(("_CLIENT_ID", "_CLIENT_SECRET", "_REDIRECT_URI", "_ENVIRONMENT", "_BASE_URL"))
}
SANDBOX = env.bool("SANDBOX", default=False)
SANDBOX_PORT = env.int("SANDBOX_PORT", default=8900)
SANDBOX_URL = f"http://127.0.0.1:{SANDBOX_PORT}"

globals().update(env.email_url("EMAIL_URL", default="consolemail://"))
# A mail server that does not answer is given up, in seconds: Django would wait for ever.
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default=f"Dashtam <dashtam@{_public.hostname}>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL

# Words and time. Instants are UTC in the database; each person sees their own zone.
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Collected files are compressed and named by content; otherwise they are served where they lie.
STATIC_COLLECTED = env.bool("STATIC_COLLECTED", default=True)
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = not STATIC_COLLECTED
WHITENOISE_ALLOW_ALL_ORIGINS = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if STATIC_COLLECTED
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
# An upload is held in memory, counted, and refused past the limit: it never touches the disk.
FILE_UPLOAD_HANDLERS = ["imports.uploads.StatementUploadHandler"]
# The largest body of any request: a statement of 25 MB with the fields around it.
FILE_UPLOAD_MAX_MEMORY_SIZE = 27_000_000
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000

# The browser is told to run and load nothing that is not ours.
_self = ["'self'"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": _self,
        "style-src": _self,
        "img-src": [*_self, "data:"],
        "font-src": _self,
        "connect-src": _self,
        "form-action": _self,
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "manifest-src": _self,
    }
}
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_AGE = 60 * 60 * 24 * 14
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _is_https
SECURE_HSTS_SECONDS = 31_536_000 if _is_https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _is_https
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _is_https else None
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
X_FRAME_OPTIONS = "DENY"

# Every line passes one of our two formatters, which take secrets out (`dashtam/logs.py`).
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOG_FORMAT = env.str("LOG_FORMAT", default="console")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "console": {"()": "dashtam.logs.Lines"},
        "json": {"()": "dashtam.logs.JsonLines"},
    },
    "handlers": {"console": {"()": "dashtam.logs.Console", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        "django.server": {"handlers": [], "propagate": True},
    },
}
# What a collector shows to read `/metrics`; without it the page does not exist.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
