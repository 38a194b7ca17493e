"""Every setting of the project, in one file. Importing it starts nothing and needs no database.

What a deployment may want to change is read from the environment (docs/operations.md lists it):

    DATABASE_URL        a PostgreSQL server; without it the app starts its own under VAR_DIR
    CELERY_BROKER_URL   a Redis server; without it the app starts its own under VAR_DIR
    VAR_DIR             everything the app makes at run time (default: var)
    ARTIFACT_ROOT       datasets, runs and checkpoints (default: VAR_DIR/artifacts)
    ARTIFACT_STORAGE    where workers that do not share that folder exchange them: s3://bucket/prefix or file:///folder
    MODELS_ROOT         unpacked models (default: VAR_DIR/models)
    HUB_ENDPOINT        the hub that checkpoints can be pushed to (default: https://huggingface.co)
    HUB_TOKEN_FILE      a file with the token for it (default: VAR_DIR/hub_token, if any)
    MODEL_SIGNING_KEY   the key that checkpoints are signed with (default: VAR_DIR/model_signing_key.pem, if any)
    EXPORT_DAYS         how long a file that somebody exported is kept (default: 7)
    SECRET_KEY          default: made once, kept in VAR_DIR/secret_key
    DEBUG               default: off
    HTTPS               served over https (secure cookies, redirect, HSTS)? default: on; off with DEBUG, in `make run`
    BEHIND_PROXY        trust X-Forwarded-Proto from the proxy in front? default: off
    ALLOWED_HOSTS, CSRF_TRUSTED_ORIGINS     comma-separated
    DATABASE_KEPT       keep connections open between requests (the web server sets it)
    WEB_PROCESSES       processes that answer pages in `make run` (default: 2, or 1 on a single core)
    EMAIL_URL           where e-mail goes, for example smtp+tls://user:password@host:587; without it none is sent
    EMAIL_FROM          the address it comes from
    EMBEDDINGS          find near-duplicates by meaning where a language model for it is installed? default: on
    WARM_STAGES         fork stages on a processor from a process that has their imports? default: on
    SITE_URL            where people reach the app, for links in e-mail (default: http://localhost:PORT)
    COLLECTED_STATIC    serve static files as `collectstatic` laid them out? default: on; off with DEBUG
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import django_stubs_ext
import environ
from django.core.exceptions import ImproperlyConfigured
from kombu import Queue

from cai_web.artifact_storage import artifact_storage
from cai_web.secret_key import secret_key_of
from cai_web.services import OwnServices

django_stubs_ext.monkeypatch()  # lets forms and admin classes name their model in brackets: ModelForm[Draft]


def text(name: str, default: str = "") -> str:
    """The environment's value; an empty one counts as not set (`make run PORT=` exports such)."""
    return os.environ.get(name, "").strip() or default


def flag(name: str, default: bool) -> bool:
    """A yes or no from the environment. Raises ImproperlyConfigured for anything else: a typo must not mean "no"."""
    value = text(name).lower()
    if not value:
        return default
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name}={value!r} is neither yes nor no: use 1 or 0.")


def count(name: str, default: int) -> int:
    """A number of at least 1 from the environment. Raises ImproperlyConfigured for anything else."""
    value = text(name, str(default))
    if not (value.isascii() and value.isdigit() and 0 < int(value) < 1000):
        raise ImproperlyConfigured(f"{name}={value!r} is not a number from 1 to 999.")
    return int(value)


def listed(name: str, *default: str) -> list[str]:
    """A comma-separated list from the environment."""
    return [part.strip() for part in text(name).split(",") if part.strip()] or list(default)


# Places -------------------------------------------------------------------------------------------------------------
BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(text("VAR_DIR", str(BASE_DIR / "var"))).resolve()
ARTIFACT_ROOT = Path(text("ARTIFACT_ROOT", str(VAR_DIR / "artifacts"))).resolve()
MODELS_ROOT = Path(text("MODELS_ROOT", str(VAR_DIR / "models"))).resolve()

MODEL_SIGNING_KEY = Path(text("MODEL_SIGNING_KEY", str(VAR_DIR / "model_signing_key.pem"))).resolve()
"""The private key of `manage.py signing_key`; where there is none, nothing is signed."""

HUB_ENDPOINT = text("HUB_ENDPOINT", "https://huggingface.co").rstrip("/")
HUB_TOKEN_FILE = Path(text("HUB_TOKEN_FILE", str(VAR_DIR / "hub_token"))).resolve()
"""Only the program that pushes reads it; where there is none, nothing is pushed."""

EXPORT_DAYS = count("EXPORT_DAYS", 7)

# Safety -------------------------------------------------------------------------------------------------------------
DEBUG = flag("DEBUG", False)
HTTPS = flag("HTTPS", not DEBUG)
SECRET_KEY = text("SECRET_KEY") or secret_key_of(VAR_DIR)
ALLOWED_HOSTS = listed("ALLOWED_HOSTS", "localhost", "127.0.0.1", "[::1]")
CSRF_TRUSTED_ORIGINS = listed("CSRF_TRUSTED_ORIGINS")

SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if flag("BEHIND_PROXY", False) else None
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"  # One-time links carry their token in the address.
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_ENGINE = "cai_web.sessions"
SESSION_COOKIE_NAME = "cai_session"
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_COOKIE_NAME = "cai_csrf"
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_HTTPONLY = True  # Pages carry the token in the markup; no script needs the cookie.
CSRF_COOKIE_SAMESITE = "Lax"

# Nothing comes from another host, nothing is inline, nothing is evaluated.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],  # data: for the API pages' own small pictures
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

# Apps ---------------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "cai_web",
    "training_app",
    "constitutions_app",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "csp",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "rest_framework",
    "template_partials",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "cai_web.addresses.without_nul",
    "cai_web.static_files.StaticFiles",
    "csp.middleware.CSPMiddleware",
    "cai_web.privacy.uncached",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "cai_web.urls"
WSGI_APPLICATION = "cai_web.wsgi.application"
ASGI_APPLICATION = "cai_web.asgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,  # template_partials wraps the loaders when the apps are ready
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "builtins": ["template_partials.templatetags.partials"],
        },
    }
]

# The app's own services, the database, the queue --------------------------------------------------------------------
DATABASE_URL = text("DATABASE_URL")
CELERY_BROKER_URL = text("CELERY_BROKER_URL")
OWN_SERVICES = OwnServices(
    VAR_DIR,
    postgres=not DATABASE_URL,
    redis=not CELERY_BROKER_URL,
    durable=flag("DURABLE", True),  # off in tests only: their data is thrown away
)
CELERY_BROKER_URL = CELERY_BROKER_URL or OWN_SERVICES.broker_url

if DATABASE_URL:
    _database: dict[str, Any] = dict(environ.Env.db_url_config(DATABASE_URL))
    if _database.get("ENGINE") not in {"django.db.backends.postgresql", "django.contrib.gis.db.backends.postgis"}:
        raise ImproperlyConfigured(
            "DATABASE_URL must name a PostgreSQL server: postgres://user:password@host:5432/name"
        )
    _database["HOST"] = unquote(_database["HOST"])  # a socket's folder is written with %2F for each slash
else:
    _database = dict(OWN_SERVICES.database)
_database["ENGINE"] = "cai_web.postgres"  # Django's own backend, which starts the app's own server if need be
_database["CONN_HEALTH_CHECKS"] = True
_database.setdefault("OPTIONS", {})
_database["OPTIONS"]["application_name"] = "cai"
if flag("DATABASE_KEPT", False):
    _database["CONN_MAX_AGE"] = 300
    _database["OPTIONS"]["prepare_threshold"] = 0  # `Composed` statements alone: others are bound before they are sent
DATABASES = {"default": _database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# A message is acknowledged before its task starts, carries names only, and leaves no result: whether work is to be
# done, being done or done stands in the database, and the sweeper finds what no message asks for.
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_QUEUES = [Queue("default"), Queue("gpu"), Queue("infer")]
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # keep trying: a broker may be restarted at any time
CELERY_BROKER_CONNECTION_TIMEOUT = 2.0
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600, "socket_keepalive": True}
CELERY_TIMEZONE = "UTC"

WEB_PROCESSES = count("WEB_PROCESSES", min(os.cpu_count() or 1, 2))
"""They share one socket. What each remembers of its own (wrong passwords, options of filters) is forgotten soon."""

CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# Likeness of principles ---------------------------------------------------------------------------------------------
EMBEDDINGS = flag("EMBEDDINGS", True)

# Stages on a processor are forked from a process that has imported torch (training_app/warm_stages.py).
WARM_STAGES = flag("WARM_STAGES", True)

# E-mail -------------------------------------------------------------------------------------------------------------
EMAIL_URL = text("EMAIL_URL")
vars().update(environ.Env.email_url_config(EMAIL_URL or "dummymail://"))  # EMAIL_BACKEND, EMAIL_HOST and so on
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = text("EMAIL_FROM", "writ@localhost")
SITE_URL = text("SITE_URL", f"http://localhost:{text('PORT', '8000')}").rstrip("/")

# What of the ledger waits until a person has judged an item blind (the ledger's own app knows nothing of judging).
LEDGER_KEEPS_BACK = "training_app.ledger_blindness.kept_back"

# Sign-in ------------------------------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["cai_web.backends.PasswordBackend", "cai_web.backends.LinkBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "/sign-in/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = None  # the signed-out page says so
SESAME_ONE_TIME = True
SESAME_MAX_AGE = timedelta(days=7)

# API ----------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "cai_web.token_auth.TokenAuthentication",  # first: its answer to strangers is 401, which programs understand
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["cai_web.parsers.BoundedJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "cai_web.pagination.Cursor",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    # A view opts in with `throttle_scope = "launch"` (costly work) or "export".
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.ScopedRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"launch": "30/hour", "export": "60/hour"},
    "DEFAULT_VERSIONING_CLASS": None,
    "ALLOWED_VERSIONS": ["0.1.0"],  # else the schema's view writes whatever ?version= says into a header
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
REST_KNOX = {"TOKEN_TTL": timedelta(days=30), "TOKEN_LIMIT_PER_USER": 20}
SPECTACULAR_SETTINGS = {
    "TITLE": "Writ",
    "DESCRIPTION": "Constitutions, runs, judgements, audits and lineage. Reading is broad; writing goes through verbs.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "RunStateEnum": "training_app.models.run.RunState",
        "StageStateEnum": "training_app.models.run.StageState",
        "ResponseEnum": "constitutions_app.models.scenario.RESPONSES",
        "ChoiceEnum": "training_app.models.audit.Audit.Choice",
        "VerdictEnum": "training_app.models.audit.Audit.Verdict",
        "DifferenceVerdictEnum": "training_app.api.run_groups.VERDICTS",
        "FinalVerdictEnum": "training_app.models.adjudication.FINAL_VERDICTS",
        "SourceEnum": "training_app.models.judgement.Comparison.Source",
        "PromptSetKindEnum": "training_app.models.prompt.PromptSet.Kind",
        "QueueKindEnum": "training_app.models.queue.AuditQueue.Kind",
        "DrawnKindEnum": "training_app.models.queue.KINDS_DRAWN",
        "QueueRuleEnum": "training_app.models.queue.AuditQueue.Rule",
        "DrawnRuleEnum": "training_app.models.queue.DRAWN_BY",
        "ReservationStateEnum": "training_app.models.queue.Reservation.State",
        "JudgeEvaluationStateEnum": "training_app.models.asked.AskedFor.State",
        "WordEnum": "constitutions_app.models.review.Verdict.Word",
        "SignOffWordEnum": "training_app.models.release.SignOff.Word",
        "RoleEnum": "constitutions_app.access.Role",
        "SignerEnum": "training_app.releases.SIGNER_CHOICES",
    },
    "SCHEMA_PATH_PREFIX": "/api/",
}

# Static files -------------------------------------------------------------------------------------------------------
COLLECTED_STATIC = flag("COLLECTED_STATIC", not DEBUG)
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STORAGES: dict[str, dict[str, Any]] = {
    "artifacts": artifact_storage(text("ARTIFACT_STORAGE"), ARTIFACT_ROOT),
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(VAR_DIR / "media")},
    },
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if COLLECTED_STATIC
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_ALLOW_ALL_ORIGINS = False  # other sites have no business with these files
WHITENOISE_USE_FINDERS = not COLLECTED_STATIC
WHITENOISE_AUTOREFRESH = not COLLECTED_STATIC

# Language, time, logs -----------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
USE_I18N = False  # everything is in English, and each value of a page would ask which language it is in
USE_TZ = True
TIME_ZONE = "UTC"
DATA_UPLOAD_MAX_MEMORY_SIZE = 5_000_000

# Launching ----------------------------------------------------------------------------------------------------------
STAGE_MEMORY_GIB = float(text("STAGE_MEMORY_GIB", "0"))
"""What one stage may take on the gpu workers; 0: workers are taken to be like this machine."""
FORM_RENDERER = "django.forms.renderers.DjangoTemplates"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": text("LOG_LEVEL", "INFO").upper()},
    "loggers": {
        "django": {"handlers": ["console"], "level": "INFO", "propagate": False},
        "django.server": {"handlers": ["console"], "level": "WARNING", "propagate": False},
    },
}
