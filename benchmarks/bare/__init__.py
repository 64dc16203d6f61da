"""What is compared with: a chain of three Celery tasks that do nothing, on the same Redis and workers."""
