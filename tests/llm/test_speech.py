"""Recordings in the formats that phones send become words; a bad one takes nobody down."""

from __future__ import annotations

import io
import os
import random
import subprocess
import wave
from pathlib import Path

import pytest
from pydantic import SecretStr

from emulators.running import Emulator
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import DeadlineExceeded, Rejected, Throttled, Unavailable
from mindbot_tasks.core.settings import SpeechToTextSettings
from mindbot_tasks.llm import recording, speech
from tests.stores.files import wav

PATH = "/v1/audio/transcriptions"


def settings(far: Emulator, **changes: object) -> SpeechToTextSettings:
    values = {"base_url": f"{far.url}/v1", "model": "whisper", "api_key": SecretStr("key"), "language": "zh"}
    return SpeechToTextSettings(**(values | changes))  # type: ignore[arg-type]


def silk(seconds: float) -> bytes:
    pysilk = pytest.importorskip("pysilk")
    made = io.BytesIO()
    pysilk.encode(io.BytesIO(bytes(2 * int(24_000 * seconds))), made, 24_000, 24_000, tencent=True)
    return made.getvalue()


def amr(seconds: float) -> bytes:
    """Frames of 20 ms in AMR's smallest mode, which say nothing."""
    return b"#!AMR\n" + (b"\x04" + bytes(12)) * int(seconds * 50)


def seconds_of(content: bytes) -> float:
    with wave.open(io.BytesIO(content)) as file:
        return file.getnframes() / file.getframerate()


def test_a_recording_becomes_words(openai: Emulator) -> None:
    assert speech.transcribe(wav(0.5), "audio/wav", settings(openai), Deadline(30)) == "a recording of 0.5 seconds"
    (call,) = openai.control.calls(path=PATH)
    assert (call["model"], call["language"], call["name"]) == ("whisper", "zh", "voice.wav")


@pytest.mark.parametrize(("made", "media_type"), [(silk, "audio/silk"), (amr, "audio/amr")])
def test_what_phones_send_is_converted(openai: Emulator, made: object, media_type: str) -> None:
    pytest.importorskip("av")
    assert callable(made)
    words = speech.transcribe(made(1.0), media_type, settings(openai), Deadline(20))
    assert words.startswith("a recording of ")
    assert 0.9 <= float(words.split()[3]) <= 1.1


NOISE = random.Random(7).randbytes(5000)


@pytest.mark.parametrize("content", [b"", b"#!AMR\n", b"\x02#!SILK_V3" + b"\xff" * 50, NOISE])
def test_what_is_no_recording_is_refused(content: bytes) -> None:
    with pytest.raises(Rejected) as raised:
        recording.to_wav(content, Deadline(20))
    assert raised.value.code == "unreadable"


def test_a_missing_decoder_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys\nfor name in ('av', 'pysilk'): sys.modules[name] = None\n"
                       + Path(recording._PROGRAM).read_text())  # fmt: skip
    program.write_text(program.read_text().replace("from __future__ import annotations\n", ""))
    monkeypatch.setattr(recording, "_PROGRAM", program)
    with pytest.raises(Rejected, match=r"mindbot\[voice\]") as raised:
        recording.to_wav(amr(0.1), Deadline(20))
    assert raised.value.code == "no_codec"


def test_a_converter_sees_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    seen: dict[str, str] = {}

    def run(*_: object, env: dict[str, str], **__: object) -> subprocess.CompletedProcess[bytes]:
        seen.update(env)
        return subprocess.CompletedProcess([], 0, b"x", b"")

    monkeypatch.setattr(subprocess, "run", run)
    recording.to_wav(b"x", Deadline(1))
    assert "canary" not in seen.values()
    assert set(seen) <= {"PATH", "LD_LIBRARY_PATH", "SYSTEMROOT"}
    assert os.environ["OPENAI_API_KEY"] == "canary"


@pytest.mark.parametrize(
    ("fault", "options", "error"),
    [
        ("status", {"status": 500}, Unavailable),
        ("status", {"status": 401}, Rejected),
        ("throttle", {"retry_after": 3}, Throttled),
        ("html", {}, Unavailable),
        ("drop", {}, Unavailable),
    ],
)
def test_what_goes_wrong_has_its_type(
    openai: Emulator, fault: str, options: dict[str, object], error: type[Exception]
) -> None:
    openai.control.fault(fault, PATH, **options)
    with pytest.raises(error) as raised:
        speech.transcribe(wav(), "audio/wav", settings(openai), Deadline(30))
    assert type(raised.value) is error


def test_it_takes_no_longer_than_it_may(openai: Emulator) -> None:
    openai.control.fault("delay", PATH, delay_ms=3000)
    with pytest.raises(DeadlineExceeded):
        speech.transcribe(wav(), "audio/wav", settings(openai, timeout=0.3), Deadline(30))
