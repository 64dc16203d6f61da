"""The Celery side, a task at a time: a real ledger, a real Redis, and platforms that do as they are told."""
