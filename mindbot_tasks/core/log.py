"""Structured logs: one JSON line per event, for our code, Celery, gunicorn and every library alike, without secrets.

Our own loggers (`structlog.get_logger`) and the standard library's run through the same processors and end in the same
sink. What people write never belongs in a log; what slips in by accident (a key, a phone number, an exception that
quotes its parameters) is taken out here.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import stat
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import orjson
import re2
import structlog
from pydantic import BaseModel, SecretStr

from mindbot_tasks.core.errors import MindBotError
from mindbot_tasks.core.settings import Settings, get_settings

EventDict = MutableMapping[str, Any]

REMOVED: Final = "[removed]"
_SHORTEST_SECRET: Final = 6  # a shorter one would blot out everyday words
_LONGEST_TEXT: Final = 8_000
_JSON_OPTIONS: Final = orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE

# `token` and `access_token`, but not `input_tokens`; values of these keys go away whatever they look like.
_SECRET_KEY = re.compile(
    r"(?:^|[_.\-])(?:password|passwd|pwd|secret|token|api_?key|access_?key(?:_?id)?|secret_?key|authorization|cookie"
    r"|credentials?|sign|signature|phone|mobile|msisdn)(?:[_.\-]|$)",
    re.IGNORECASE,
)
# What people write, and what their platforms send about it.
_TEXT_KEYS: Final = frozenset({"text", "body", "content", "prompt", "query", "payload", "question", "answer_text"})

_PATTERNS: Final = (
    r"\b(?:sk|pk|app|dataset|whsec|xox[bap])[-_][A-Za-z0-9_\-+/=]{12,}",
    r"\b(?:LTAI|AKIA|ASIA|AIza)[A-Za-z0-9_\-]{12,}",
    r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-.]+",  # a JSON web token
    r"(?<=[Bb]earer )[^\s\"',]+",
    r"(?<=[Bb]asic )[A-Za-z0-9+/=]{8,}",
    r"(?<=://)[^\s/@:\"]*:[^\s/@\"]+(?=@)",  # user:password in an address
    r"(?<=token=)[^&\s\"']+",
    r"(?<=secret=)[^&\s\"']+",
    r"(?<=session=)[^&\s\"']+",
    r"(?<=sign=)[^&\s\"']+",
    r"(?<=key=)[^&\s\"']+",
    r"(?<![\w+.\-])(?:\+?86[ \-]?)?1[3-9]\d{9}(?![\w.\-])",  # a mobile number in China
    r"(?<![\w+])\+[1-9]\d{7,14}\b",  # E.164
    r"(?<=\[parameters: )[^\n]+",  # SQLAlchemy quotes what was bound
    r"(?<=input_value=).+?(?=, input_type=)",  # pydantic quotes what it was given
)

# A finished line is looked at once, in linear time (2 µs); only one that may hold something is gone through value by
# value with the patterns above (40 µs). Whatever those can match, this must match too.
_SUSPICIOUS: Final = (
    r"\b(?:sk|pk|app|dataset|whsec|xox[bap])[-_][A-Za-z0-9_\-+/=]{12}",
    r"\b(?:LTAI|AKIA|ASIA|AIza)[A-Za-z0-9_\-]{12}",
    r"\beyJ[A-Za-z0-9_\-]{8}",
    r"[Bb]earer ",
    r"[Bb]asic ",
    r"://[^\s/@:\"]*:[^\s/@\"]+@",
    r"(?:token|secret|session|sign|key)=",
    r"\b(?:86)?1[3-9]\d{9}\b",
    r"\+[1-9]\d{7}",
    r"\[parameters: ",
    r"input_value=",
)

_secrets: set[str] = set()
_pattern: re.Pattern[str] = re.compile("|".join(_PATTERNS))
_gate: Any = re2.compile("|".join(_SUSPICIOUS))
_lock = threading.Lock()


def register_secret(value: str | SecretStr | None) -> None:
    """From now on this very value is removed from every line, wherever it turns up."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value or ""
    found = {text, *(part for part in _passwords_in(text))}
    new = {secret for secret in found if len(secret) >= _SHORTEST_SECRET} - _secrets
    if not new:
        return
    global _gate, _pattern
    with _lock:
        _secrets.update(new)
        known = sorted(_secrets, key=len, reverse=True)
        _pattern = re.compile("|".join([*map(re.escape, known), *_PATTERNS]))
        as_json = [orjson.dumps(secret)[1:-1].decode() for secret in known]
        _gate = re2.compile("|".join([*map(re2.escape, as_json), *_SUSPICIOUS]))


def _passwords_in(text: str) -> Iterator[str]:
    """The password of a connection address, as written and as meant."""
    if "://" in text and "@" in text:
        with contextlib.suppress(ValueError):
            if password := urlsplit(text).password:
                yield password
                yield unquote(password)


def register_secrets_of(section: BaseModel) -> None:
    """Every `SecretStr` in these settings, however deep."""
    for name in type(section).model_fields:
        _register_within(getattr(section, name))


def _register_within(value: object) -> None:
    if isinstance(value, SecretStr):
        # An address without a password holds nothing secret, and its parts are worth reading in a log.
        text = value.get_secret_value()
        for secret in list(_passwords_in(text)) if "://" in text else [text]:
            register_secret(secret)
    elif isinstance(value, BaseModel):
        register_secrets_of(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            _register_within(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            _register_within(item)


@lru_cache(maxsize=4096)
def _is_secret_key(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None


def redact_text(text: str) -> str:
    """The same text without secrets and phone numbers."""
    return _pattern.sub(REMOVED, text)


def redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: take out what must not be written, going by the name of each key."""
    for key, value in event.items():
        if _is_secret_key(key):
            # Numbers under such a name count something (`token_limit`), unless they are long enough to be dialled.
            if value and (type(value) is not int or value > 10**6) and type(value) not in (float, bool):
                event[key] = REMOVED
        elif key in _TEXT_KEYS:
            event[key] = f"[{len(value)} long, removed]" if isinstance(value, str | bytes) else REMOVED
        elif type(value) is str:
            if len(value) > _LONGEST_TEXT:
                event[key] = value[:_LONGEST_TEXT]
        elif isinstance(value, Mapping):
            event[key] = redact(None, "", {str(name): item for name, item in value.items()})
        elif isinstance(value, SecretStr | bytes):
            event[key] = REMOVED
        elif isinstance(value, list | tuple | set | frozenset):
            event[key] = list(redact(None, "", {str(number): item for number, item in enumerate(value)}).values())
    return event


def _by_look(value: object) -> object:
    """`value` without what looks like a secret; goes through strings only, so that the JSON stays valid."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict):
        return {name: _by_look(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_by_look(item) for item in value]
    return value


def _add_time_and_level(_logger: object, method: str, event: EventDict) -> EventDict:
    now_ms = time.time_ns() // 1_000_000
    event["at"] = f"{_second(now_ms // 1000)}.{now_ms % 1000:03d}Z"
    event.setdefault("level", "error" if method == "exception" else method)
    return event


@lru_cache(maxsize=2)
def _second(epoch_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(epoch_s))


#: exceptions whose words speak of programs and machines; those of all others may quote what somebody wrote
_PLAIN_SPOKEN: Final = (
    MindBotError, OSError, ImportError, TypeError, AttributeError, NameError, ArithmeticError, RuntimeError,
    MemoryError,
)  # fmt: skip
_PLAIN_SPOKEN_LIBRARIES: Final = ("redis.", "kombu.", "celery.", "gunicorn.")


def told_of(error: BaseException) -> str:
    """The traceback of an exception and of what caused it: files and lines, and its words only if they quote nobody."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = "" if cause is None else f"{told_of(cause)}\n\nand then:\n\n"
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    plain = isinstance(error, _PLAIN_SPOKEN) or name.startswith(_PLAIN_SPOKEN_LIBRARIES)
    stack = "".join(traceback.format_tb(error.__traceback__, limit=30))
    return f"{before}Traceback (most recent call last):\n{stack}{name}{f': {error}' if plain else ''}".rstrip()


def _add_exception(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Render the exception as a plain traceback: files and lines, never the values of local variables."""
    exc_info = event.pop("exc_info", None)
    if exc_info:
        if isinstance(exc_info, BaseException):
            error: BaseException | None = exc_info
        else:
            error = exc_info[1] if isinstance(exc_info, tuple) else sys.exc_info()[1]
        if error is not None:
            event["exception"] = told_of(error)
    return event


def _render(_logger: object, _method: str, event: EventDict) -> bytes:
    try:
        line = orjson.dumps(event, default=str, option=_JSON_OPTIONS)
        if _gate.search(line) is None:
            return line
    except TypeError:  # integers beyond 64 bits, lone surrogates: rare, slower, and never a reason to raise
        line = json.dumps(event, default=str, skipkeys=True).encode()
    return json.dumps(_by_look(json.loads(line)), separators=(",", ":")).encode() + b"\n"


class _Sink:
    """Where lines go: a descriptor that is always there, and perhaps a file that may be rotated away under us."""

    def __init__(self) -> None:
        self.fd = 2
        self.path = ""
        self.file_fd: int | None = None
        self._looked_at = 0.0
        self._lock = threading.Lock()

    def open(self, fd: int, path: str) -> None:
        with self._lock:
            if self.file_fd is not None:
                os.close(self.file_fd)
                self.file_fd = None
            self.fd, self.path, self._looked_at = fd, path, 0.0

    def msg(self, line: bytes) -> None:
        """Write one line; a full disk or a closed pipe must not stop the work that is being logged."""
        with contextlib.suppress(OSError):
            _write(self.fd, line)
        if self.path:
            with self._lock, contextlib.suppress(OSError):
                _write(self._file(), line)

    def _file(self) -> int:
        """The log file's descriptor, opened again (looked at once a second) after a rotation."""
        now = time.monotonic()
        if self.file_fd is not None and now - self._looked_at > 1:
            self._looked_at = now
            if not _same_file(self.file_fd, self.path):
                os.close(self.file_fd)
                self.file_fd = None
        if self.file_fd is None:
            self.file_fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            self._looked_at = now
        return self.file_fd


def _same_file(fd: int, path: str) -> bool:
    try:
        there, here = os.stat(path), os.fstat(fd)  # noqa: PTH116
    except OSError:
        return False
    return (there[stat.ST_INO], there[stat.ST_DEV]) == (here[stat.ST_INO], here[stat.ST_DEV])


def _write(fd: int, line: bytes) -> None:
    written = os.write(fd, line)
    while written < len(line):
        line = line[written:]
        written = os.write(fd, line)


_sink = _Sink()
_role: dict[str, object] = {"role": "", "pid": 0}


class _NamedSink:
    """What structlog calls a logger: the sink, and the name that was asked for."""

    __slots__ = ("name",)

    def __init__(self, name: str = "") -> None:
        self.name = name

    def msg(self, line: bytes) -> None:
        _sink.msg(line)

    debug = info = warning = warn = error = critical = exception = fatal = log = msg


def _add_process(logger: object, _method: str, event: EventDict) -> EventDict:
    event.setdefault("logger", getattr(logger, "name", ""))
    event["role"] = _role["role"]
    event["pid"] = os.getpid()
    return event


_PROCESSORS: list[structlog.types.Processor] = [
    structlog.contextvars.merge_contextvars,
    _add_time_and_level,
    _add_process,
    _add_exception,
    redact,
    _render,
]


class _Bridge(logging.Handler):
    """Carries the standard library's records over to our processors."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event: EventDict = {
                "event": record.getMessage(),
                "logger": record.name,
                "level": record.levelname.lower(),
                "exc_info": record.exc_info,
            }
            line: Any = event
            for processor in _PROCESSORS:
                line = processor(None, record.levelname.lower(), line)
            _sink.msg(line)
        except Exception:  # noqa: BLE001 - logging's own contract: report, never raise
            self.handleError(record)


# Loggers that bring handlers of their own or talk about every single call.
_ROUTED: Final = (
    "gunicorn.error",
    "gunicorn.access",
    "celery",
    "celery.task",
    "celery.redirected",
    "werkzeug",
    "flask.app",
)
_QUIET: Final = ("urllib3", "kombu", "amqp", "werkzeug", "asyncio", "httpx", "httpcore", "chromadb", "tornado.access")


def configure(role: str, settings: Settings | None = None) -> None:
    """Send every log line of this process to stdout (stderr for the command line) and to LOG_FILE, as JSON.

    `role` names the process (web, worker, beat, cli ...). May be called again, as after a fork.
    """
    settings = settings or get_settings()
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    if role == "cli" and "log_level" not in settings.model_fields_set:
        level = logging.WARNING  # what a command has to say, it says
    _role["role"] = role
    _sink.open(2 if role == "cli" else 1, settings.log_file)
    register_secrets_of(settings)
    structlog.configure(
        processors=_PROCESSORS,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        context_class=dict,
        logger_factory=_NamedSink,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_Bridge()]
    root.setLevel(level)
    for name in _ROUTED:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)
    if role != "cli":
        sys.excepthook = _uncaught
        threading.excepthook = _uncaught_in_thread


def _uncaught(kind: type[BaseException], error: BaseException, _trace: object) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        structlog.get_logger(__name__).critical("uncaught", exc_info=error)


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        name = args.thread.name if args.thread else ""
        structlog.get_logger(__name__).critical("uncaught_in_thread", thread=name, exc_info=args.exc_value)
