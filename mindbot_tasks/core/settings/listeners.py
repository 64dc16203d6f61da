"""Addresses at which one bot's door is open beside the one for all; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mindbot_tasks.core.settings.root import Settings


@dataclass(frozen=True, slots=True)
class Listener:
    """`host:port`, and the paths that are served there."""

    host: str
    port: int
    paths: frozenset[str]

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def listeners(settings: Settings, *, web_port: int) -> list[Listener]:
    """One for each port that bots ask for; the port of the web side has everything anyway."""
    found: dict[int, Listener] = {}
    for host, port, paths in _wanted(settings):
        if port == web_port:
            continue
        other = found.get(port)
        found[port] = Listener(other.host, port, other.paths | paths) if other else Listener(host, port, paths)
    return list(found.values())


def _wanted(settings: Settings) -> Iterable[tuple[str, int, frozenset[str]]]:
    for platform, bots in (("wecom", settings.wecom), ("wecomcs", settings.wecomcs)):
        for name, bot in bots.items():
            if bot.port is not None:
                path = f"/webhooks/{platform}"
                paths = {f"{path}/{name}", path} if name == "default" else {f"{path}/{name}"}
                yield bot.host or settings.web.host, bot.port, frozenset(paths)
