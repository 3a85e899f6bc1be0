"""The project: settings, URLs, Celery, the API's base and the tenants."""

from talkover.celery import app as celery_app

__all__ = ["celery_app"]
