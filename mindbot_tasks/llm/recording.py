"""Recordings as a transcription server takes them: AMR and SILK, which phones send, become WAV."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, Unavailable

PROVIDER = "recording"
_PROGRAM = Path(__file__).with_name("recording_process.py")
_NOT_INSTALLED = 3
_LONGEST_S = 40.0
#: what OpenAI's endpoint takes as it is, and the name that tells the server which it is
_TAKEN = {
    "audio/wav": "voice.wav",
    "audio/mpeg": "voice.mp3",
    "audio/mp4": "voice.m4a",
    "audio/m4a": "voice.m4a",
    "audio/x-m4a": "voice.m4a",
    "audio/ogg": "voice.ogg",
    "audio/flac": "voice.flac",
    "audio/webm": "voice.webm",
    "video/webm": "voice.webm",
    "video/mp4": "voice.mp4",
}


def as_taken(content: bytes, media_type: str, deadline: Deadline) -> tuple[bytes, str, str]:
    """The recording, its media type and a file name, converted if need be.

    Raises Rejected (code "no_codec" when the extra `voice` is not installed, else "unreadable") or a DeadlineExceeded.
    """
    if media_type in _TAKEN:
        return content, media_type, _TAKEN[media_type]
    return to_wav(content, deadline), "audio/wav", "voice.wav"


def to_wav(content: bytes, deadline: Deadline) -> bytes:
    """Raises as `as_taken`."""
    deadline.check()
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, str(_PROGRAM)],
            input=content,
            capture_output=True,
            timeout=max(0.1, min(_LONGEST_S, deadline.remaining_s())),
            check=False,
            env={name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ},
        )
    except subprocess.TimeoutExpired:
        raise _refused("the recording takes too long to convert", "unreadable") from None
    except OSError as exc:
        raise Unavailable(
            f"the converter cannot be started ({type(exc).__name__})", kind="server", provider=PROVIDER
        ) from exc
    if done.returncode == _NOT_INSTALLED:
        raise _refused('the decoder is not installed: pip install "mindbot[voice]"', "no_codec")
    if done.returncode != 0 or not done.stdout:
        raise _refused("the recording cannot be read", "unreadable")
    return done.stdout


def _refused(why: str, code: str) -> Rejected:
    return Rejected(why, kind="content", code=code, provider=PROVIDER)
