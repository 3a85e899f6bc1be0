"""What a WSGI server serves: `gunicorn talkover.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

from talkover.environments.startup import refuse_unreadable_secrets, refuse_without_secrets

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "talkover.settings")

refuse_without_secrets()
application = get_wsgi_application()
# Only now: it reads the models.
refuse_unreadable_secrets()
