"""The body of a call: whole, or refused. Half of one is never taken for the whole."""

from __future__ import annotations

from typing import Any

import flask
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge


class Call(flask.Request):
    """A request whose body is at most as long as allowed, and as long as announced."""

    def get_data(self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False) -> Any:
        """Raises BadRequest if the caller left, or took too long, before all of it was here."""
        in_chunks = self.content_length is None and self.environ.get("wsgi.input_terminated")
        if in_chunks and not hasattr(self, "_cached_data"):
            # without a length: Flask would cut it at the limit and say nothing
            most = self.max_content_length or 0
            data: bytes = self.environ["wsgi.input"].read(most + 1)
            if len(data) > most:
                raise RequestEntityTooLarge
            self._cached_data = data
        found: bytes | str = super().get_data(cache, as_text, parse_form_data)  # type: ignore[call-overload]
        if isinstance(found, bytes) and self.content_length is not None and len(found) < self.content_length:
            raise BadRequest
        return found
