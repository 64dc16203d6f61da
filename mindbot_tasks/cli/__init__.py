"""The `mindbot` command; each subcommand is imported when it is used."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from typing import Any

import click

from mindbot_tasks.cli.failing import log_beside_output, prepare_streams, told_plainly

#: name -> where it is, and what it does; one whose module is not installed is not shown
COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("mindbot_tasks.cli.up:up", "Start everything on this machine."),
    "config": ("mindbot_tasks.cli.config:config", "Check the configuration; print its schema."),
    "db": ("mindbot_tasks.cli.db:db", "Create or upgrade the tables."),
    "doctor": ("mindbot_tasks.cli.doctor:doctor", "Look for what keeps MindBot from working."),
    "ask": ("mindbot_tasks.cli.ask:ask", "Ask a question from the command line."),
    "explain": ("mindbot_tasks.cli.explain:explain", "Say how a message would be routed, and why."),
    "demo": ("mindbot_tasks.cli.demo:demo", "Send one message through each door, against emulators."),
    "register": ("mindbot_tasks.cli.register:register", "Tell platforms where to post what is not told in consoles."),
    "send": ("mindbot_tasks.cli.send:send", "Send a message that nobody asked for."),
    "messages": ("mindbot_tasks.cli.messages:messages", "List messages; show one with its timeline."),
    "replay": ("mindbot_tasks.cli.messages:replay", "Start a message again."),
    "models": ("mindbot_tasks.cli.models:models", "List the models, and whether they are still served."),
    "usage": ("mindbot_tasks.cli.usage:usage", "Add up tokens and cost."),
    "workflows": ("mindbot_tasks.cli.workflows:workflows", "Say how well each workflow does; compare variants."),
    "tools": ("mindbot_tasks.cli.tools:tools", "List the agent's tools; call one."),
    "kb": ("mindbot_tasks.cli.kb:kb", "Look after the knowledge base."),
    "alerts": ("mindbot_tasks.cli.alerts:alerts", "List, acknowledge and silence alerts."),
    "classifier": ("mindbot_tasks.cli.classifier:classifier", "Train and measure the classifier."),
    "emulate": ("mindbot_tasks.cli.emulate:emulate", "Run a stand-in of a vendor."),
    "tune": ("mindbot_tasks.cli.tune:tune", "Suggest the concurrency of each queue."),
    "bridges": ("mindbot_tasks.cli.bridges:bridges", "Hold the connections of DingTalk Stream and AIM."),
    "local-model": ("mindbot_tasks.cli.local_model:local_model", "Serve the models that this machine runs itself."),
    "chroma": ("mindbot_tasks.cli.chroma:chroma", "Run the vector store of this machine."),
    "watchdog": ("mindbot_tasks.cli.watchdog:watchdog", "Tell people when all workers are gone."),
    "health": ("mindbot_tasks.cli.health:health", "One question with exit code 0 or 1, for health checks."),
    "flower": ("mindbot_tasks.cli.flower:flower", "Start Flower with the credentials of this installation."),
}
HIDDEN = {"bridges", "local-model", "chroma", "watchdog", "flower"}  #: for the Procfile


class _Lazy(click.Group):
    """Knows its commands by name, so that `--help` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if _is_installed(name)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS or not _is_installed(cmd_name):
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def main(self, args: Sequence[str] | None = None, *others: Any, **named: Any) -> Any:
        if args is None:  # this process is the command, rather than a test that calls it
            prepare_streams()
            log_beside_output()
        return super().main(args, *others, **named)

    def invoke(self, ctx: click.Context) -> Any:
        return told_plainly(super().invoke)(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, COMMANDS[name][1]) for name in self.list_commands(ctx) if name not in HIDDEN]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(COMMANDS[name][0].split(":")[0]) is not None


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mindbot", prog_name="mindbot")
def main() -> None:
    """A chat-bot backend that keeps every message."""
