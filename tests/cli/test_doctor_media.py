"""`mindbot doctor` on the file store, the recognition of speech and the collector of traces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from emulators.running import Emulator, running
from mindbot_tasks.cli.doctor import media, traces
from mindbot_tasks.core.settings import FilesSettings, Settings, SpeechToTextSettings, TelemetrySettings
from mindbot_tasks.stores import file_places


@pytest.fixture(scope="module")
def openai() -> Iterator[Emulator]:
    with running("openai", "--api-key", "right", "--model", "whisper") as emulator:
        yield emulator


def about_files(**section: object) -> list[tuple[str, str]]:
    file_places.forget_places()
    settings = Settings(files=FilesSettings(**section))  # type: ignore[arg-type]
    return [(found.level, found.text.key) for found in media.look_at_files(settings, offline=False)]


def test_a_directory_that_can_be_written_is_fine(tmp_path: Path) -> None:
    assert about_files(path=str(tmp_path / "new" / "files")) == [("ok", "doctor.files_fine")]
    (tmp_path / "taken").write_text("a file")
    assert about_files(path=str(tmp_path / "taken")) == [("fail", "doctor.files_unwritable")]


def test_a_bucket_out_of_reach_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    section = {"backend": "s3", "bucket": "b", "endpoint_url": "http://127.0.0.1:9", "region": "us-east-1",
               "access_key_id": "a", "secret_access_key": "b"}  # fmt: skip
    settings = Settings(files=FilesSettings(**section))  # type: ignore[arg-type]
    monkeypatch.setattr("mindbot_tasks.core.settings.load.load", lambda *_, **__: settings)
    monkeypatch.setattr(file_places, "get_settings", lambda: settings)
    assert about_files(**section) == [("fail", "doctor.files_unreachable")]
    file_places.forget_places()
    assert list(media.look_at_files(settings, offline=True)) == []


@pytest.mark.parametrize(("key", "expected"), [("right", "doctor.speech_fine"), ("wrong", "doctor.not_let_in")])
def test_the_key_for_speech_is_tried(openai: Emulator, key: str, expected: str) -> None:
    speech = SpeechToTextSettings(base_url=f"{openai.url}/v1", model="whisper", api_key=SecretStr(key))
    found = [one.text.key for one in media.look_at_speech(Settings(speech_to_text=speech))]
    assert found[0] == expected


def test_a_dead_server_and_a_missing_decoder_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(media.look_at_speech(Settings())) == []
    speech = SpeechToTextSettings(base_url="http://127.0.0.1:9/v1", model="whisper")
    assert [one.text.key for one in media.look_at_speech(Settings(speech_to_text=speech))] == ["doctor.unreachable"]


def test_missing_decoders_are_named(openai: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "find_spec", lambda _name: None)
    speech = SpeechToTextSettings(base_url=f"{openai.url}/v1", model="whisper", api_key=SecretStr("right"))
    found = [one.text.key for one in media.look_at_speech(Settings(speech_to_text=speech))]
    assert found == ["doctor.speech_fine", "doctor.no_voice_extra"]


# the collector of traces


def test_the_collector_of_traces_is_tried() -> None:
    assert list(traces.look_at_collector(Settings())) == []
    with running("otlp") as collector:
        (found,) = traces.look_at_collector(Settings(telemetry=TelemetrySettings(endpoint=collector.url)))
        assert (found.level, found.text.key) == ("ok", "doctor.collector_fine")
        assert collector.control.calls(path="/v1/traces")[0]["spans"] == 0
        wrong = TelemetrySettings(traces_endpoint=f"{collector.url}/elsewhere")
        (found,) = traces.look_at_collector(Settings(telemetry=wrong))
        assert (found.level, found.text.key) == ("warn", "doctor.collector_refuses")


def test_a_collector_that_is_away_is_a_warning() -> None:
    (found,) = traces.look_at_collector(Settings(telemetry=TelemetrySettings(endpoint="http://127.0.0.1:9")))
    assert (found.level, found.text.key) == ("warn", "doctor.collector_away")
