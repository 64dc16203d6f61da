"""One module or package per chat platform; no Flask and no Celery in here."""
