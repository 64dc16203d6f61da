"""Ports that single bots have for themselves."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from mindbot_tasks.core.settings.listeners import Listener, listeners
from mindbot_tasks.core.settings.load import load
from webhooks import gunicorn_conf
from webhooks.own_ports import OwnPorts

BOT = "corpid: c, secret: s, token: t, encoding_aes_key: k"
CONFIGURATION = f"""
web: {{host: "::1"}}
wecom:
  - {{name: default, {BOT}, port: 9901}}
  - {{name: other, {BOT}, port: 9901}}
  - {{name: main, {BOT}, port: 8000}}
  - {{name: none, {BOT}}}
wecomcs: {{{BOT}, host: 127.0.0.2, port: 9902}}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "mindbot.yaml"
    path.write_text(CONFIGURATION)
    monkeypatch.setenv("MINDBOT_CONFIG", str(path))
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.delenv("MINDBOT_HOST", raising=False)
    return path


def test_each_port_has_the_doors_of_its_bots(file: Path) -> None:
    assert listeners(load(file), web_port=8000) == [
        Listener("::1", 9901, frozenset({"/webhooks/wecom", "/webhooks/wecom/default", "/webhooks/wecom/other"})),
        Listener("127.0.0.2", 9902, frozenset({"/webhooks/wecomcs", "/webhooks/wecomcs/default"})),
    ]


def test_gunicorn_listens_there_too(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        assert importlib.reload(gunicorn_conf).bind == ["127.0.0.1:8000", "[::1]:9901", "127.0.0.2:9902"]
        file.write_text("nonsense: [")
        assert importlib.reload(gunicorn_conf).bind == ["127.0.0.1:8000"]
    finally:
        monkeypatch.undo()
        importlib.reload(gunicorn_conf)


@pytest.mark.parametrize(
    ("port", "path", "status"),
    [
        ("9901", "/webhooks/wecom", "200 OK"),
        ("9901", "/webhooks/wecom/other", "404 Not Found"),
        ("9901", "/", "404 Not Found"),
        ("9901", "/api/v1/messages", "404 Not Found"),
        ("8000", "/", "200 OK"),
    ],
)
def test_only_the_doors_are_open_at_a_port_of_a_bot(port: str, path: str, status: str) -> None:
    told: list[str] = []

    def app(environ: object, start_response: object) -> list[bytes]:
        told.append("200 OK")
        return [b""]

    served = OwnPorts(app, [Listener("127.0.0.1", 9901, frozenset({"/webhooks/wecom"}))])
    served({"SERVER_PORT": port, "PATH_INFO": path}, lambda said, _: told.append(said))
    assert told == [status]
