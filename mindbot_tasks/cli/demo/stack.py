"""A whole MindBot of its own for the demo: emulators, a receiver of callbacks and `mindbot up`, in a temporary folder.

Nothing of the caller's is read or written: the working directory is the temporary one, and of the environment only
what says how to run programs goes along.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import yaml

from emulators.running import Emulator, running
from mindbot_tasks.cli.demo.receiver import Receiver, receiving
from mindbot_tasks.cli.supervision.banner import reasons_in
from mindbot_tasks.cli.supervision.child import tied_to
from mindbot_tasks.cli.supervision.instance import free_port
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, MindBotError
from mindbot_tasks.core.http import Response, get_http
from mindbot_tasks.core.words import Lang, say

READY_S = 180.0
#: `mindbot up` is done within 30
STOP_S = 40.0
ROLES = ("web", "worker_fast", "worker_generate", "worker_alerts", "beat")
MODEL = "demo-model"
CORPID = "wwdemo0000000001"
#: bots of the generic platform: one whose asker fetches the answer, one that is called back
FETCH, CALLBACK = "fetch", "callback"
_ROOT = Path(__file__).resolve().parents[3]
#: what a program needs to run here; no setting and no credential is among it
_PASSED_ON = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR", "XDG_RUNTIME_DIR", "TZ", "LANG", "LANGUAGE"}
_PASSED_ON |= {"LD_LIBRARY_PATH", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR"}


class DemoFailed(MindBotError):
    """The demo did not get where it should; the text is what the user reads."""


@dataclass(frozen=True)
class Keys:
    """Made up for one run."""

    api: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    model: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    dingtalk: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    wecom: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    wecom_token: str = field(default_factory=lambda: secrets.token_hex(12))
    wecom_aes_key: str = field(default_factory=lambda: secrets.token_hex(22)[:43])
    chat: str = field(default_factory=lambda: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
    dify_code: str = field(default_factory=lambda: "app-" + secrets.token_hex(12))
    dify_translation: str = field(default_factory=lambda: "app-" + secrets.token_hex(12))


@dataclass
class Stack:
    """What is running, and how to reach it."""

    home: Path
    port: int
    keys: Keys
    dingtalk: Emulator
    wecom: Emulator
    dify: Emulator
    openai: Emulator
    receiver: Receiver
    lang: Lang
    flower_port: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **params: str) -> Any:
        """What our API answers. Raises FarSideError."""
        headers = {"Authorization": f"Bearer {self.keys.api}"}
        response = self._ask("GET", path, headers=headers, params=params)
        if response.status != 200:
            raise DemoFailed(f"GET {path} answered {response.status}")
        return response.json()

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> Response:
        """Raises FarSideError when nobody answers; any status is an answer."""
        return self._ask("POST", path, body=body, headers={"Content-Type": "application/json", **headers})

    def missing(self) -> list[str] | None:
        """What /readyz still misses; None when a message can go all the way."""
        try:
            response = self._ask("GET", "/readyz")
        except FarSideError:
            return [say("up.waiting_web", self.lang)]
        return None if response.status == 200 else reasons_in(response.body)

    def _ask(self, method: str, path: str, **options: Any) -> Response:
        return get_http().request(method, self.url + path, deadline=Deadline(10), provider="mindbot", **options)


@contextlib.contextmanager
def running_stack(lang: Lang, progress: Callable[[str], None], *, with_flower: bool) -> Iterator[Stack]:
    """Everything started and ready for messages; all of it is gone afterwards. Raises DemoFailed."""
    keys = Keys()
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="mindbot-demo-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        progress(say("demo.emulators", lang))
        pace = ("--delay-ms", "200", "--tokens-per-second", "40")
        try:
            dingtalk = stack.enter_context(running("dingtalk", "--app-key", "demo", "--app-secret", keys.dingtalk))
            wecom = stack.enter_context(running("wecom", "--corpid", CORPID, "--secret", keys.wecom))
            apps = (f"{keys.dify_code}=advanced-chat", f"{keys.dify_translation}=chat")
            dify = stack.enter_context(running("dify", *pace, "--app", apps[0], "--app", apps[1]))
            openai = stack.enter_context(running("openai", *pace, "--api-key", keys.model, "--model", MODEL))
        except RuntimeError as problem:
            raise DemoFailed(str(problem)) from problem
        receiver = stack.enter_context(receiving(keys.chat))
        demo = Stack(folder / "var", free_port(), keys, dingtalk, wecom, dify, openai, receiver, lang)
        if with_flower:
            demo.flower_port = free_port()
        (folder / "mindbot.yaml").write_text(yaml.safe_dump(configuration(demo), allow_unicode=True), encoding="utf-8")
        progress(say("demo.starting", lang))
        process = stack.enter_context(_mindbot_up(folder, demo, progress))
        _wait_until_ready(demo, process, folder / "up.log", lang, progress)
        yield demo


def configuration(demo: Stack) -> dict[str, Any]:
    """mindbot.yaml of the demo: three doors, two workflows of Dify and a model, all of them emulators."""
    keys = demo.keys
    return {
        "home": "var",
        "web": {"api_keys": [keys.api]},
        "dingtalk": {
            "client_id": "demo",
            "client_secret": keys.dingtalk,
            "robot_name": "MindBot",
            "api_base": demo.dingtalk.url,
            "oapi_base": demo.dingtalk.url,
        },
        "wecom": {
            "corpid": CORPID,
            "secret": keys.wecom,
            "token": keys.wecom_token,
            "encoding_aes_key": keys.wecom_aes_key,
            "api_base": demo.wecom.url,
        },
        "chat": {
            FETCH: {"secrets": [keys.chat]},
            CALLBACK: {
                "secrets": [keys.chat],
                "callback_url": demo.receiver.url,
                "allow_private_callback": True,
            },
        },
        "workflows": {
            "code_analysis": {
                "dify_endpoint": f"{demo.dify.url}/v1/chat-messages",
                "dify_api_key": keys.dify_code,
                "task_patterns": ["python|javascript|sql", "代码|报错"],
                "priority": 1,
            },
            "translation": {
                "dify_endpoint": f"{demo.dify.url}/v1/chat-messages",
                "dify_api_key": keys.dify_translation,
                "task_patterns": ["translate|translation", "翻译"],
                "priority": 2,
            },
        },
        "providers": {
            "demo": {"type": "openai", "base_url": f"{demo.openai.url}/v1", "api_key": keys.model, "models": [MODEL]}
        },
    }


@contextlib.contextmanager
def _mindbot_up(folder: Path, demo: Stack, progress: Callable[[str], None]) -> Iterator[subprocess.Popen[bytes]]:
    """The same supervisor as everybody's, in a session of its own: Ctrl-C reaches it through us only."""
    roles = [*ROLES, *(["flower"] if demo.flower_port else [])]
    environment = {
        **{name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith("LC_")},
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")])),
        "PORT": str(demo.port),
        "FAST_CONCURRENCY": "4",
        "GENERATE_CONCURRENCY": "4",
        "MINDBOT_REDIS_MAXMEMORY": "64mb",
        **({"FLOWER_PORT": str(demo.flower_port)} if demo.flower_port else {}),
    }
    with (folder / "up.log").open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "mindbot_tasks.cli", "up", "--quiet", "--only", ",".join(roles)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # killed ourselves, we cannot stop it; the kernel then asks it to end in order
            preexec_fn=tied_to(os.getpid(), signal.SIGTERM),
        )
    try:
        yield process
    finally:
        progress(say("demo.stopping", demo.lang))
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it in order; another Ctrl-C meanwhile ends it at once."""
    if process.poll() is not None:
        return
    main_thread = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, lambda *_: process.send_signal(signal.SIGINT)) if main_thread else None
    try:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    finally:
        if main_thread:
            signal.signal(signal.SIGINT, before)


def _wait_until_ready(
    demo: Stack, process: subprocess.Popen[bytes], log: Path, lang: Lang, progress: Callable[[str], None]
) -> None:
    give_up_at = time.monotonic() + READY_S
    told: list[str] | None = []
    while (missing := demo.missing()) is not None:
        if process.poll() is not None:
            raise DemoFailed(say("demo.up_ended", lang, why=last_line(log) or process.returncode))
        if time.monotonic() > give_up_at:
            raise DemoFailed(say("demo.not_ready", lang, seconds=int(READY_S), missing=", ".join(missing)))
        if missing != told:
            told = missing
            progress(say("demo.waiting", lang, missing=", ".join(missing)))
        time.sleep(0.2)


def last_line(path: Path) -> str:
    """What `mindbot up` said last; "" if nothing."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def as_json(value: object) -> bytes:
    """For a body that is signed: what is signed is what is sent."""
    return orjson.dumps(value)
