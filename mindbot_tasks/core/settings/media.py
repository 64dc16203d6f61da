"""Files that come and go with messages, and the recognition of speech."""

from __future__ import annotations

from typing import Literal

from pydantic import SecretStr, model_validator

from mindbot_tasks.core.settings.section import AtLeastOne, Seconds, Section, Url, Wrong
from mindbot_tasks.core.words import Sentence

#: pictures, sound, film and the usual documents; no programs, no web pages, no archives but ZIP
USUAL_TYPES = [
    "image/*",
    "audio/*",
    "video/*",
    "text/plain",
    "application/pdf",
    "application/rtf",
    "application/msword",
    "application/zip",
    "application/epub+zip",
    "application/vnd.*",
]


class FilesSettings(Section):
    """The file store."""

    backend: Literal["local", "s3"] = "local"
    path: str = ""  #: "" means: <home>/files
    bucket: str = ""
    prefix: str = "mindbot"
    endpoint_url: Url = ""  #: "" means: Amazon's
    region: str = ""
    access_key_id: SecretStr | None = None
    secret_access_key: SecretStr | None = None
    max_mb: AtLeastOne = 20
    types: list[str] = USUAL_TYPES
    retention_days: AtLeastOne | None = None  #: None: as long as the message
    fetch_s: Seconds = 45

    @model_validator(mode="after")
    def _bucket_is_named(self) -> FilesSettings:
        if self.backend == "s3" and not self.bucket:
            raise Wrong(Sentence("settings.bucket_missing"))
        return self


class SpeechToTextSettings(Section):
    """A server with OpenAI's /audio/transcriptions."""

    enabled: bool = True
    base_url: Url
    model: str
    api_key: SecretStr | None = None
    language: str = ""  #: "" means: the model finds out
    timeout: Seconds = 30
