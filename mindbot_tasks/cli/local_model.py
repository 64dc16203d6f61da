"""`mindbot local-model`: serves the models that this machine runs itself; workers ask them like any provider."""

from __future__ import annotations

import functools
import os
import signal
import threading
from types import FrameType
from urllib.parse import urlsplit

import click
import structlog

from mindbot_tasks.core import log as logging
from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import ModelSettings, ProviderSettings, Settings, get_settings
from mindbot_tasks.core.words import lang_of, say
from mindbot_tasks.llm import catalogue
from mindbot_tasks.llm.local.server import LocalServer, Served
from mindbot_tasks.llm.local.transformer import Transformer

log = structlog.get_logger(__name__)


def wanted(settings: Settings) -> dict[str, ProviderSettings]:
    """The providers whose models are folders of a machine of ours, by name."""
    return {
        name: provider
        for name, provider in settings.providers.items()
        if provider.enabled
        and catalogue.kind_of(name, provider) in catalogue.LOCAL
        and any(model.path for model in provider.models)
    }


def served(providers: dict[str, ProviderSettings]) -> dict[str, Served]:
    """Their models by name; the first one that has a name keeps it."""
    found: dict[str, Served] = {}
    for provider in providers.values():
        for model in provider.models:
            if model.path:
                found.setdefault(model.name, Served(functools.partial(_load, provider, model)))
    return found


def _load(provider: ProviderSettings, model: ModelSettings) -> Transformer:
    return Transformer.load(model.path, device=provider.device, trust_remote_code=provider.trust_remote_code)


@click.command(name="local-model")
@click.option("--host", default="", help="Address to listen on.  [default: that of base_url if it is this machine's]")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="[default: that of base_url]")
def local_model(host: str, port: int | None) -> None:
    """Serve the models of providers of type transformers, one answer at a time, until told to stop."""
    try:
        settings = get_settings()
    except SettingsError as problem:
        raise click.ClickException(str(problem)) from problem
    lang = lang_of(settings.language)
    providers = wanted(settings)
    if not providers:
        click.echo(say("local_model.none", lang))
        return
    if not catalogue.has_transformers():
        raise click.ClickException(say("local_model.no_extra", lang))
    logging.configure(os.environ.get("MINDBOT_ROLE") or "local_model", settings)
    name, provider = next(iter(providers.items()))
    base = urlsplit(catalogue.base_of(name, provider))
    if not host:
        host = (base.hostname or "") if catalogue.runs_here(name, provider) else "127.0.0.1"
    key = provider.api_key.get_secret_value() if provider.api_key is not None else ""
    try:
        server = LocalServer((host, port if port is not None else base.port or 80), served(providers), key)
    except OSError as problem:
        raise click.ClickException(say("local_model.no_port", lang, why=problem.strerror or problem)) from problem
    _serve(server)


def _serve(server: LocalServer) -> None:
    """Until SIGTERM or SIGINT; answers that are being written end at their next token."""

    def stop(number: int, frame: FrameType | None) -> None:
        server.stopping.set()
        threading.Thread(target=server.shutdown).start()  # it waits for the loop that this handler interrupts

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    address = server.server_address
    log.info("local_model_listens", host=str(address[0]), port=int(address[1]), models=list(server.models))
    threading.Thread(target=server.load_first, name="load", daemon=True).start()
    with server:
        server.serve_forever(poll_interval=0.2)
