"""Emulators as processes of a test or a benchmark: `with running("dingtalk") as dingtalk: ...`."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

_ROOT = Path(__file__).resolve().parent.parent


class Control:
    """The control API of a running emulator. Raises requests.HTTPError with the emulator's words for a wrong call."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = requests.Session()
        self._http.trust_env = False

    def call(self, method: str, path: str, data: object = None, *, timeout_s: float = 30) -> Any:
        """`path` without /_control, such as "/sessions/expire"."""
        response = self._http.request(method, f"{self.url}/_control{path}", json=data, timeout=timeout_s)
        if not response.ok:
            raise requests.HTTPError(f"{response.status_code} for {path}: {response.text}", response=response)
        return response.json()

    def fault(self, action: str, path: str = "*", **options: Any) -> None:
        """Arm one rule: the next call of `path` meets it, once unless `options` say otherwise."""
        self.call("POST", "/faults", {"action": action, "path": path, **options})

    def faults(self) -> list[dict[str, Any]]:
        """The armed rules with how often each was seen and has hit."""
        found: list[dict[str, Any]] = self.call("GET", "/faults")
        return found

    def clear_faults(self) -> None:
        self.call("DELETE", "/faults")

    def pace(self, **values: float) -> None:
        """`delay_ms` and `tokens_per_second` from now on."""
        self.call("POST", "/pace", values)

    def reset(self) -> None:
        """Forget faults, calls and everything the vendor would remember; the log file and the numbers go on."""
        self.call("POST", "/reset")

    def calls(self, since: int = 0, *, path: str = "", event: str = "call", **fields: Any) -> list[dict[str, Any]]:
        """The recorded calls after number `since`, those of one path and with these fields only if given."""
        found: list[dict[str, Any]] = []
        while page := self.call("GET", f"/calls?since={since}"):
            found += page
            since = page[-1]["seq"]
        wanted = {"event": event, **({"path": path} if path else {}), **fields}
        return [record for record in found if all(record.get(name) == value for name, value in wanted.items())]

    def wait_for(self, count: int = 1, *, timeout_s: float = 60, since: int = 0, **which: Any) -> list[dict[str, Any]]:
        """The calls that match, as soon as there are `count` of them. Raises TimeoutError."""
        until = time.monotonic() + timeout_s
        while True:
            found = self.calls(since, **which)
            if len(found) >= count:
                return found
            if time.monotonic() > until:
                raise TimeoutError(f"{len(found)} of {count} calls after {timeout_s} s: {which}")
            time.sleep(0.05)

    def close(self) -> None:
        self._http.close()


class Emulator:
    """An emulator in a process of its own; it ends with this one, also when this one is killed."""

    def __init__(self, name: str, *options: str, log: Path | None = None, port: int = 0) -> None:
        self.name = name
        self.log = log
        self._options = options
        self.port = port
        self.start()

    def start(self, timeout_s: float = 120) -> None:
        """Start it, a second time on the same port. Raises RuntimeError with its words when it does not come up."""
        for tries_left in reversed(range(20 if hasattr(self, "process") else 1)):
            try:
                self._start(timeout_s)
            except RuntimeError:
                if not tries_left:
                    raise
            else:
                return
            time.sleep(0.5)  # while it was away, somebody's outgoing call may have been given its port

    def _start(self, timeout_s: float) -> None:
        command = [sys.executable, "-m", "emulators", self.name, "--port", str(self.port), "--with-parent"]
        if self.log is not None:
            command += ["--log", str(self.log)]
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process; a pipe that nobody reads would stop it
        self.process = subprocess.Popen(  # noqa: S603 - our own module
            [*command, *self._options], env=_environment(os.environ), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self._complaints,
        )  # fmt: skip
        try:
            self.url = self._first_line(timeout_s)
        except BaseException:
            self.kill()
            raise
        self.port = int(self.url.rpartition(":")[2])
        self.control = Control(self.url)

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self, timeout_s: float = 60) -> int:
        """End it in order; returns its exit status."""
        self.process.terminate()
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._close()
        return status

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()
        self._close()

    def _first_line(self, timeout_s: float) -> str:
        output = self.process.stdout
        assert output is not None  # noqa: S101 - for the type checker; it was asked for a pipe
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            ready = selector.select(timeout_s)
        line = output.readline().decode().strip() if ready else ""
        if line.startswith("http://"):
            return line
        self.process.kill()
        self.process.wait()
        self._complaints.seek(0)
        complaint = self._complaints.read()
        raise RuntimeError(f"the {self.name} emulator did not start: {complaint.decode(errors='replace').strip()}")

    def _close(self) -> None:
        if hasattr(self, "control"):
            self.control.close()
        for pipe in (self.process.stdin, self.process.stdout, self._complaints):
            if pipe is not None:
                pipe.close()


@contextmanager
def running(name: str, *options: str, log: Path | None = None, port: int = 0) -> Iterator[Emulator]:
    """An emulator that listens; `options` are those of `python -m emulators NAME`."""
    emulator = Emulator(name, *options, log=log, port=port)
    try:
        yield emulator
    finally:
        if emulator.process.poll() is None:
            emulator.stop()


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with this package importable, wherever the caller runs."""
    paths = [str(_ROOT), *filter(None, [environ.get("PYTHONPATH")])]
    return {**environ, "PYTHONPATH": os.pathsep.join(paths)}
