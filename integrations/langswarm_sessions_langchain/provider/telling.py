"""What an error tells of a failed request, whichever SDK, HTTP client or cloud it is of. Pure functions.

Nothing of theirs is imported: what their errors have in common is read, attribute by attribute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from langswarm_sessions.providers.failures import Failure, parse_retry_after

__all__ = ["failure_of"]


def failure_of(error: BaseException) -> Failure:
    """Return what an error tells.

    Args:
        error: Any error; of one that tells nothing the failure is empty but for its text.
    """
    response: object = getattr(error, "response", None)
    headers = _headers(response) or _headers(error)
    body = _body(error, response)
    status = _status(error, response)
    return Failure(
        status=status,
        code=_word(getattr(error, "code", None)) or _word(body.get("code")),
        param=_word(getattr(error, "param", None)) or _word(body.get("param")),
        type=_word(getattr(error, "type", None)) or _word(body.get("type")),
        message=str(body.get("message") or getattr(error, "message", None) or error),
        retry_after=parse_retry_after(headers),
        should_retry={"true": True, "false": False}.get(headers.get("x-should-retry", "")),
        request_id=_word(getattr(error, "request_id", None))
        or headers.get("x-request-id")
        or headers.get("request-id"),
    )


def _status(error: BaseException, response: object) -> int | None:
    told: list[object] = [getattr(error, name, None) for name in ("status_code", "code", "status", "http_status")]
    told += [getattr(response, "status_code", None), _at(response, "ResponseMetadata", "HTTPStatusCode")]
    numbers = (int(value) for value in told if isinstance(value, int) and not isinstance(value, bool))
    return next((number for number in numbers if 100 <= number <= 599), None)


def _headers(holder: object) -> dict[str, str]:
    headers: object = getattr(holder, "headers", None)
    if not isinstance(headers, Mapping):
        return {}
    return {str(name).lower(): str(value) for name, value in cast("Mapping[object, object]", headers).items()}


def _body(error: BaseException, response: object) -> Mapping[str, Any]:
    """Return the part of an answer that names what went wrong, wherever the error keeps it."""
    held = [getattr(error, "body", None), getattr(error, "details", None), *map(_as_dict, error.args[:1])]
    held.append({"code": _at(response, "Error", "Code"), "message": _at(response, "Error", "Message")})  # botocore's
    for value in held:
        if found := _entries(_at(value, "error")) or _entries(value):
            return found
    return {}


def _as_dict(told: object) -> object:
    """Return an SDK's own error object, which an error was raised with, as a dict."""
    code, message = getattr(told, "code", None), getattr(told, "message", None)
    return {"code": code, "message": message} if isinstance(code, str) and isinstance(message, str) else told


def _at(value: object, *path: str) -> object:
    for name in path:
        value = _entries(value).get(name)
    return value


def _entries(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
