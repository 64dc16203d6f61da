# One image for every role; the command decides which one it is (see docker-compose.yml).
FROM python:3.12-slim AS build
WORKDIR /app
COPY requirements.txt pyproject.toml ./
COPY .ci/install_checkout.py .ci/install_checkout.py
RUN python -m venv /app/.venv \
    && /app/.venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps -r requirements.txt \
    && /app/.venv/bin/python .ci/install_checkout.py

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin mindbot \
    && install -d -o mindbot -g mindbot -m 0700 /data
WORKDIR /app
COPY --from=build /app/.venv /app/.venv
COPY . .
# what the processes may not write down here themselves, each would compile anew at every start
RUN /app/.venv/bin/python -m compileall -q mindbot_tasks webhooks emulators beat_schedule.py celeryconfig.py
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MINDBOT_HOME=/data \
    MINDBOT_HOST=0.0.0.0 \
    LANGSMITH_TRACING=false \
    MALLOC_ARENA_MAX=2
USER mindbot
EXPOSE 8000
STOPSIGNAL SIGTERM
CMD ["gunicorn", "-c", "python:webhooks.gunicorn_conf", "webhooks.wsgi:application"]
