"""What the newcomer reads: what is still missing while MindBot starts, and where to go once it is ready."""

from __future__ import annotations

import http.client
import json
import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from mindbot_tasks.cli.supervision.lines import Lines
from mindbot_tasks.cli.supervision.roles import Planned
from mindbot_tasks.cli.supervision.supervisor import OURSELVES
from mindbot_tasks.cli.supervision.words import Words
from mindbot_tasks.core.settings import Settings

ASK_EVERY_S = 0.5
ASK_TIMEOUT_S = 5.0
BODY_LIMIT = 100_000


def reasons_in(body: bytes) -> list[str]:
    """What /readyz says is missing, in its own words; nothing if it cannot be read.

    >>> reasons_in(b'{"ready": false, "reasons": ["no canary from queue generate"]}')
    ['no canary from queue generate']
    >>> reasons_in(b'{"checks": {"database": {"ok": true}, "broker": {"ok": false, "reason": "refused"}}}')
    ['broker: refused']
    """
    try:
        answer = json.loads(body)
    except ValueError:
        return []
    if not isinstance(answer, dict):
        return []
    if isinstance(told := answer.get("reasons"), list):
        return [str(reason) for reason in told]
    if isinstance(told, dict):
        return [f"{name}: {reason}" for name, reason in told.items()]
    checks = answer.get("checks")
    found = []
    for name, check in checks.items() if isinstance(checks, dict) else ():
        if isinstance(check, dict) and not check.get("ok", True):
            found.append(f"{name}: {check['reason']}" if check.get("reason") else str(name))
    return found


def _me() -> str:
    """What to type for the `mindbot` command from here."""
    if shutil.which("mindbot"):
        return "mindbot"
    command = Path(sys.argv[0]).absolute()
    return str(command.relative_to(Path.cwd()) if command.is_relative_to(Path.cwd()) else command)


class Readiness(threading.Thread):
    """Asks /readyz until it answers 200, tells what is waited for, then calls `when_ready` once."""

    def __init__(self, host: str, port: int, lines: Lines, words: Words, when_ready: Callable[[], None]) -> None:
        super().__init__(name="readiness", daemon=True)
        self.host = host
        self.port = port
        self.lines = lines
        self.words = words
        self.when_ready = when_ready
        self.stopped = threading.Event()

    def run(self) -> None:
        told: str | None = None
        while not self.stopped.is_set():
            status, reasons = self.ask()
            if status == 200:
                self.when_ready()
                return
            text = ", ".join(reasons)
            if text != told and text:
                told = text
                self.lines.say(OURSELVES, self.words("waiting", reasons=text))
            self.stopped.wait(ASK_EVERY_S)

    def ask(self) -> tuple[int | None, list[str]]:
        """The status of /readyz and what it misses; None: nobody answers yet."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=ASK_TIMEOUT_S)
        try:
            connection.request("GET", "/readyz", headers={"Accept": "application/json"})
            answer = connection.getresponse()
            return answer.status, reasons_in(answer.read(BODY_LIMIT)) or [f"/readyz ({answer.status})"]
        except (OSError, http.client.HTTPException):
            return None, [self.words("waiting_web")]
        finally:
            connection.close()


def reachable(host: str) -> str:
    """An address of this machine for a server that listens on `host`.

    >>> reachable("0.0.0.0"), reachable("127.0.0.1")
    ('127.0.0.1', '127.0.0.1')
    """
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


def has_model(settings: Settings) -> bool:
    """Whether anything but the offline answerer can answer."""
    return any(provider.enabled for provider in settings.providers.values()) or any(
        workflow.enabled and workflow.dify_api_key for workflow in settings.workflows.values()
    )


def banner(
    *,
    words: Words,
    settings: Settings,
    plan: Sequence[Planned],
    host: str,
    port: int,
    flower_port: int,
    home: Path,
    config: Sequence[Path],
) -> str:
    """The text that is printed once MindBot is ready."""
    address = reachable(host)
    base = f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
    started = {line.role for line in plan if line.starts}
    rows: list[tuple[str, str]] = []
    if "web" in started:
        rows += [(words("banner_playground"), f"{base}/"), (words("banner_health"), f"{base}/readyz")]
        if settings.alert_manager is not None and settings.alert_manager.enabled and settings.web.console:
            rows.append((words("banner_console"), f"{base}/console/"))
    if "flower" in started:
        login = words("banner_credentials", path=home / "flower.auth")
        rows.append((words("banner_flower"), f"http://127.0.0.1:{flower_port}/  ({login})"))
    if "web" in started:
        rows.append((words("banner_webhook"), f"{_me()} demo    POST {base}/webhooks/dingtalk"))
    rows += [
        (words("banner_config"), ", ".join(map(str, config)) or words("banner_no_config")),
        (words("banner_data"), str(home)),
    ]
    rows += [(words("banner_skipped"), f"{line.role}: {line.reason}") for line in plan if not line.starts]
    width = max(wide(label) for label, _ in rows)
    body = [f"  {label}{' ' * (width - wide(label))}  {text}" for label, text in rows]
    if not has_model(settings):
        body += ["", f"  {words('banner_no_model')}"]
    return "\n".join(["", f"  {words('ready')}", "", *body, "", f"  {words('banner_stop')}", ""])


def wide(text: str) -> int:
    """Columns of a terminal that this takes; Chinese characters take two."""
    return sum(2 if ord(character) >= 0x1100 else 1 for character in text)
