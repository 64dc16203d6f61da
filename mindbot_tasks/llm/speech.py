"""Speech to text by any server with OpenAI's /audio/transcriptions (Whisper and its kin)."""

from __future__ import annotations

from mindbot_tasks.core import multipart
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Unavailable
from mindbot_tasks.core.http import Http, Patience, get_http, refuse
from mindbot_tasks.core.settings import SpeechToTextSettings
from mindbot_tasks.llm.recording import as_taken

PROVIDER = "speech_to_text"


def transcribe(
    content: bytes, media_type: str, settings: SpeechToTextSettings, deadline: Deadline, *, http: Http | None = None
) -> str:
    """What is said in a recording, "" if nothing is. Raises Rejected, Throttled or Unavailable."""
    deadline = deadline.within(settings.timeout)
    content, media_type, name = as_taken(content, media_type, deadline)
    fields = {"model": settings.model, "response_format": "json"}
    if settings.language:
        fields["language"] = settings.language
    body, content_type = multipart.encode(fields, field="file", name=name, content=content, media_type=media_type)
    headers = {"Content-Type": content_type}
    if settings.api_key is not None:
        headers["Authorization"] = f"Bearer {settings.api_key.get_secret_value()}"
    response = (http or get_http()).request(
        "POST",
        transcriptions_url(settings.base_url),
        deadline=deadline,
        provider=PROVIDER,
        headers=headers,
        body=body,
        patience=Patience(first_byte_s=settings.timeout),  # it answers when it has heard everything
    )
    if not response.ok:
        refuse(response)
    told = response.json()
    text = told.get("text") if isinstance(told, dict) else None
    if not isinstance(text, str):
        raise Unavailable("the answer has no text", kind="protocol", provider=PROVIDER, status=response.status)
    return text.strip()


def transcriptions_url(base_url: str) -> str:
    return base_url.rstrip("/").removesuffix("/audio/transcriptions") + "/audio/transcriptions"
