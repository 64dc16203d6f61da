"""What every child process finds in its environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def for_children(
    base: Mapping[str, str],
    *,
    home: Path,
    port: int,
    host: str,
    redis_url: str,
    database_url: str,
    secret_key: str,
    flower_port: int,
) -> dict[str, str]:
    """The environment of the processes: ours, and where everything is."""
    defaults = {
        # Traces would carry the texts of users to somebody else's server: only who asks for it gets it.
        "LANGSMITH_TRACING": "false",
        "LANGCHAIN_TRACING_V2": "false",
        # glibc gives each thread its own arena; with 50 threads a worker would hold several times the memory.
        "MALLOC_ARENA_MAX": "2",
    }
    fixed = {
        "MINDBOT_HOME": str(home),
        "MINDBOT_SECRET_KEY": secret_key,
        "MINDBOT_HOST": host,
        "PORT": str(port),
        "REDIS_URL": redis_url,
        "DATABASE_URL": database_url,
        "FLOWER_PORT": str(flower_port),
        "PROMETHEUS_MULTIPROC_DIR": str(home / "metrics"),
        "PYTHONUNBUFFERED": "1",
        # `celery` and `gunicorn` of this installation, whatever else is on PATH.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), base.get("PATH", os.defpath)]),
    }
    without_proxy = no_proxy(base)
    return {**defaults, **base, **fixed, "NO_PROXY": without_proxy, "no_proxy": without_proxy}


def no_proxy(base: Mapping[str, str]) -> str:
    """The hosts that are reached directly: the operator's and loopback.

    >>> no_proxy({"NO_PROXY": "example.org"})
    'example.org,127.0.0.1,localhost,::1'
    """
    known = (base.get("NO_PROXY") or base.get("no_proxy") or "").split(",")
    hosts = [host.strip() for host in known if host.strip()]
    return ",".join([*hosts, *(host for host in LOOPBACK if host not in hosts)])
