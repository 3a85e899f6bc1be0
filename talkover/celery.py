"""The Celery application. Which connections are due is the database's to say; beat only asks."""

import os
from typing import Any

from celery import Celery, signals
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "talkover.settings")

# The brokers, mended (talkover.broker).
TRANSPORT_ALIASES["filesystem"] = "talkover.broker:Transport"
TRANSPORT_ALIASES["redis"] = TRANSPORT_ALIASES["rediss"] = "talkover.broker:RedisTransport"

app = Celery("talkover")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.celeryd_init.connect
def check_worker(**_signal: Any) -> None:
    # Imported late: this module is loaded before Django is set up.
    from talkover.environments.startup import refuse_unreadable_secrets

    refuse_unreadable_secrets()


@signals.beat_init.connect
def check_beat(**_signal: Any) -> None:
    from talkover.environments.startup import refuse_without_secrets

    refuse_without_secrets()
