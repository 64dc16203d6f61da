"""Every error that a caller can see: JSON with a reason for programs and a sentence for people, never a traceback."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from apiflask import APIFlask, HTTPError
from flask import Response, jsonify, request
from gunicorn.http.errors import NoMoreData, ParseException
from werkzeug.exceptions import BadRequest, HTTPException

from mindbot_tasks.core.errors import DatabaseUnavailable, PayloadInvalid, SignatureInvalid
from mindbot_tasks.platforms.registry import UnknownPlatform

log = structlog.get_logger(__name__)

RETRY_AFTER_S = 5

#: the one shape of errors, as OpenAPI shows it
SCHEMA = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["reason", "message"],
            "properties": {
                "reason": {"type": "string", "description": "one word, for programs"},
                "message": {"type": "string", "description": "one sentence, for people"},
                "detail": {"type": "object", "description": "with 422: what is wrong where"},
            },
        }
    },
}

_SENTENCES = {
    400: ("bad_request", "The request could not be read."),
    401: ("unauthorised", "This needs a valid API key."),
    403: ("forbidden", "This caller may not see this."),
    404: ("not_found", "There is nothing here."),
    405: ("method_not_allowed", "This address does not take this method."),
    413: ("too_large", "The body is larger than this server takes."),
    414: ("address_too_long", "The address is longer than this server takes."),
    415: ("unsupported_media_type", "This content type is not understood."),
    422: ("invalid", "A parameter has a value that is not allowed."),
    429: ("too_many_requests", "Too many requests; wait as long as Retry-After says."),
    431: ("headers_too_large", "The headers are larger than this server takes."),
    500: ("internal", "Something went wrong here; it has been logged."),
    503: ("unavailable", "Not available now; try again soon."),
}


def told(status: int) -> dict[str, str]:
    """The reason and the message of a status of which no more is known."""
    reason, message = _SENTENCES.get(status, ("error", HTTPStatus(status).phrase))
    return {"reason": reason, "message": message}


def error(status: int, reason: str, message: str, **more: object) -> Response:
    """An error in the shape that SCHEMA describes."""
    response = jsonify({"error": {"reason": reason, "message": message, **more}})
    response.status_code = status
    return response


def database_unavailable() -> Response:
    """503 at once, so that whoever called tries again."""
    response = error(503, "database_unavailable", "The database does not answer now; try again soon.")
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _of_http(exc: HTTPException) -> Response:
    status = exc.code or 500
    if status < 400:  # a redirect is no error
        return exc.get_response()  # type: ignore[return-value]
    response = error(status, **told(status))
    for name, value in exc.get_headers():
        if name.lower() in ("allow", "retry-after", "www-authenticate"):
            response.headers[name] = value
    return response


def _of_api(exc: HTTPError) -> Response:
    status = exc.status_code
    more: dict[str, Any] = {"detail": exc.detail} if exc.detail else {}
    response = error(status, **told(status), **more)
    response.headers.update(dict(exc.headers or {}))
    return response


def _of_bug(exc: Exception) -> Response:
    log.error("web_failed", endpoint=request.endpoint, exc_info=exc)
    return error(500, **told(500))


def register(app: APIFlask) -> None:
    """Say which exception becomes which status."""
    app.register_error_handler(HTTPException, _of_http)
    for broken in (ParseException, NoMoreData):  # a body in chunks that is cut, or badly made
        app.register_error_handler(broken, lambda _: _of_http(BadRequest()))
    app.register_error_handler(DatabaseUnavailable, lambda _: database_unavailable())
    app.register_error_handler(SignatureInvalid, lambda exc: error(401, "signature_invalid", str(exc)))
    app.register_error_handler(PayloadInvalid, lambda exc: error(400, "payload_invalid", str(exc)))
    app.register_error_handler(
        UnknownPlatform, lambda _: error(404, "unknown_platform", "There is no such platform here, or it is off.")
    )
    app.register_error_handler(Exception, _of_bug)
    app.error_processor(_of_api)
