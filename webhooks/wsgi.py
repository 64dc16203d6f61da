"""What gunicorn serves: `gunicorn webhooks.wsgi:application`."""

from __future__ import annotations

from mindbot_tasks.core import log
from webhooks.app import create_app

log.configure("web")
application = create_app()
