"""What a chat model raises becomes this library's error: by names, status and codes, never by what it wrote."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx
import httpx2
import langchain_core.exceptions as lc
import openai
import pytest

from langswarm_sessions.errors import (
    AuthenticationError,
    ContentRefusedError,
    ContextOverflowError,
    IncompleteStreamError,
    InvalidRequestError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
)
from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions_langchain import LangChainProvider
from tests.support.chat_model import JudgedChat, api_error

CANARY = "canary-7f3a"
REQUEST = httpx2.Request("POST", "http://127.0.0.1/", headers={"authorization": "Bearer sk-secret"})


def claude(status: int, kind: str, text: str = CANARY) -> Exception:
    """What Anthropic's SDK raises."""
    kinds: dict[int, type[anthropic.APIStatusError]] = {
        400: anthropic.BadRequestError,
        429: anthropic.RateLimitError,
        529: anthropic.InternalServerError,
    }
    response: Any = httpx2.Response(status, headers={"request-id": "req_1", "retry-after": "7"}, request=REQUEST)
    body = {"type": "error", "error": {"type": kind, "message": text}}
    return kinds.get(status, anthropic.APIStatusError)(text, response=response, body=body)


class Refused(openai.RateLimitError, lc.ModelRateLimitError):
    """Both families at once, as the packages of LangChain raise them."""


class Botocore(Exception):
    def __init__(self, code: str, status: int) -> None:
        super().__init__(CANARY)
        self.response = {"Error": {"Code": code, "Message": CANARY}, "ResponseMetadata": {"HTTPStatusCode": status}}


class GenaiError(Exception):
    code = 503
    status = "UNAVAILABLE"
    message = CANARY


class ModelRefusalError(lc.ModelError):
    """Newer than the oldest LangChain: known by its name."""


class LengthFinishReasonError(Exception):
    """OpenAI's SDK raises one of this name when a structured answer is too long to be whole."""


class Wrapper(Exception):
    """A package's own error around an SDK's."""


def wrapped(cause: Exception) -> Exception:
    error = Wrapper(CANARY)
    error.__cause__ = cause
    return error


async def raised(error: Exception, *, after: int = 0) -> ProviderError:
    """Return what a session raises when its model raises `error`."""
    model = JudgedChat()
    model.party.fail(error, after=after)
    session = LangChainProvider(model, name="mychat").open("s", "judged-1", {})
    with pytest.raises(ProviderError) as caught:
        async for _ in session.stream_turn(ProviderRequest(messages=(SessionMessage(role="user", content=CANARY),))):  # type: ignore[arg-type]
            pass
    return caught.value


CASES: list[tuple[Exception, type[ProviderError], bool]] = [
    (api_error(400), InvalidRequestError, False),
    (api_error(400, code="content_filter"), ContentRefusedError, False),
    (api_error(400, text=f"This model's maximum context length is 8 tokens. {CANARY}"), ContextOverflowError, False),
    (api_error(404, code="model_not_found"), InvalidRequestError, False),
    (api_error(408), ProviderTimeoutError, True),
    (api_error(429, code="insufficient_quota"), QuotaExceededError, False),
    (api_error(503, headers={"x-should-retry": "false"}), ProviderUnavailableError, False),
    (claude(400, "invalid_request_error"), InvalidRequestError, False),
    (claude(400, "invalid_request_error", f"prompt is too long: {CANARY}"), ContextOverflowError, False),
    (claude(400, "invalid_request_error", "Your credit balance is too low"), QuotaExceededError, False),
    (claude(429, "rate_limit_error"), RateLimitError, True),
    (claude(529, "overloaded_error"), ProviderUnavailableError, True),
    (claude(200, "overloaded_error"), ProviderUnavailableError, True),
    (claude(200, "rate_limit_error"), RateLimitError, True),
    (claude(200, "invalid_request_error"), InvalidRequestError, False),
    (openai.APITimeoutError(request=REQUEST), ProviderTimeoutError, True),
    (openai.APIConnectionError(request=REQUEST), ProviderUnavailableError, True),
    (openai.APIError(CANARY, request=REQUEST, body={"code": "server_error"}), ProviderUnavailableError, True),
    (openai.APIError(CANARY, request=REQUEST, body={"code": "rate_limit_exceeded"}), RateLimitError, True),
    (LengthFinishReasonError(CANARY), InvalidRequestError, False),
    (openai.ContentFilterFinishReasonError(), ContentRefusedError, False),
    (Refused(CANARY, response=httpx2.Response(429, request=REQUEST), body=None), RateLimitError, True),
    (lc.ContextOverflowError(CANARY), ContextOverflowError, False),
    (lc.ModelAuthenticationError(CANARY), AuthenticationError, False),
    (lc.ModelPermissionDeniedError(CANARY), AuthenticationError, False),
    (lc.ModelRateLimitError(CANARY), RateLimitError, True),
    (lc.ModelAPIError(CANARY), ProviderUnavailableError, True),
    (lc.ModelConnectionError(CANARY), ProviderUnavailableError, True),
    (lc.ModelTimeoutError(CANARY), ProviderTimeoutError, True),
    (lc.ModelNotFoundError(CANARY), InvalidRequestError, False),
    (lc.ModelInvalidRequestError(CANARY), InvalidRequestError, False),
    (lc.ModelError(CANARY), InvalidRequestError, False),
    (ModelRefusalError(CANARY), ContentRefusedError, False),
    (Botocore("ThrottlingException", 429), RateLimitError, True),
    (Botocore("ExpiredTokenException", 403), AuthenticationError, False),
    (GenaiError(CANARY), ProviderUnavailableError, True),
    (ValueError({"message": CANARY, "code": "server_error"}), ProviderUnavailableError, True),
    (wrapped(api_error(429)), RateLimitError, True),
    (wrapped(wrapped(TimeoutError(CANARY))), ProviderTimeoutError, True),
    (httpx.ReadTimeout(CANARY), ProviderTimeoutError, True),
    (httpx.ConnectError(CANARY), ProviderUnavailableError, True),
    (
        httpx.HTTPStatusError(CANARY, request=httpx.Request("POST", "http://h"), response=httpx.Response(401)),
        AuthenticationError,
        False,
    ),
    (ConnectionRefusedError(CANARY), ProviderUnavailableError, True),
]


@pytest.mark.parametrize(
    ("error", "kind", "retryable"), CASES, ids=[f"{type(case[0]).__name__}-{case[1].__name__}" for case in CASES]
)
async def test_every_family_of_errors(error: Exception, kind: type[ProviderError], retryable: bool) -> None:
    found = await raised(error)
    assert type(found) is kind
    assert found.retryable is retryable
    assert found.provider == "mychat"
    assert CANARY not in str(found)
    assert found.__cause__ is None
    assert found.__context__ is None  # it would hold the request, and so the key


async def test_what_else_the_server_told() -> None:
    found = await raised(claude(429, "rate_limit_error"))
    assert (found.status_code, found.retry_after, found.request_id) == (429, 7, "req_1")
    assert "status 429, type rate_limit_error" in str(found)
    found = await raised(api_error(401, code="invalid_api_key"))
    assert "the chat model's key" in str(found)


@pytest.mark.parametrize(
    "error", [httpx.RemoteProtocolError("cut"), openai.APIConnectionError(request=REQUEST), ConnectionResetError()]
)
async def test_a_connection_that_breaks_in_the_middle(error: Exception) -> None:
    found = await raised(error, after=2)
    assert type(found) is IncompleteStreamError
    assert found.is_ambiguous


async def test_an_error_that_says_nothing_is_kept_as_cause() -> None:
    bug = KeyError("content")
    found = await raised(bug)
    assert type(found) is ProviderError
    assert not found.retryable
    assert "JudgedChat raised KeyError" in str(found)
    assert found.__cause__ is bug


async def test_a_models_own_words_in_our_errors_stay() -> None:
    mine = QuotaExceededError("Nothing left this month.", provider="mychat")
    assert await raised(mine) is mine


async def test_a_chain_of_causes_that_bites_its_tail_ends() -> None:
    one, two = Wrapper("one"), Wrapper("two")
    one.__cause__, two.__cause__ = two, one
    assert type(await raised(one)) is ProviderError
