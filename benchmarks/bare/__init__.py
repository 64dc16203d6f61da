"""What is compared with: three Celery tasks that do nothing, as a chain, on the same Redis and the same kind of workers."""
