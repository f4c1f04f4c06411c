"""Beside others: what the instrumentations of other people read from the context, and who records a call of a model.

None of their packages is imported: what is not loaded cannot be switched on. Their names are held by tests that run
them. A call is recorded once. Whoever can be told to keep silent does, and our span is the one; where somebody cannot,
his span is the one and ours is left out; and a call that lies within a call that is recorded already adds none.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from types import ModuleType
from typing import Final, cast

from opentelemetry import context as context_api
from opentelemetry.context import Context

from langswarm_sessions_otel import semconv

_MOST_WRAPPERS: Final = 32
_AROUND: Final = context_api.create_key("langswarm-sessions-recorded-around")

# What OpenTelemetry itself has for all instrumentations, those of HTTP clients too.
_ALL_SWITCH: Final = "_SUPPRESS_INSTRUMENTATION_KEY"
# OpenTelemetry's own instrumentations (opentelemetry-instrumentation-genai-*) share opentelemetry-util-genai.
_OFFICIAL: Final = "opentelemetry.util.genai.invocation"
_OFFICIAL_KEY: Final = "CLIENT_INFERENCE_CONTEXT_KEY"
_OFFICIAL_DATA: Final = "InferenceData"
_OFFICIAL_CONVERSATION: Final = "opentelemetry.util.genai._conversation_context"
# OpenInference's take their context attributes by these names.
_OPENINFERENCE: Final = "openinference.instrumentation"
# Of these SDKs they hand on streams of their own, which lack what the SDK's have: they are kept out of the call.
_CHANGED_STREAMS: Final = {"gcp.gemini": "google_genai", "mistral_ai": "mistralai"}
# Traceloop's share opentelemetry-semantic-conventions-ai, and with it the name of a switch that keeps them silent. That
# of OpenAI's Responses API does not obey it. Their SDK labels spans with what stands under the two other names.
_TRACELOOP: Final = "opentelemetry.semconv_ai"
_TRACELOOP_DISOBEYING: Final = (("opentelemetry.instrumentation.openai.", "openai.resources.responses"),)
_TRACELOOP_SWITCH: Final = "SUPPRESS_LANGUAGE_MODEL_INSTRUMENTATION_KEY"
_TRACELOOP_CONVERSATION: Final = "conversation_id"
_TRACELOOP_PROPERTIES: Final = "association_properties"


class Silenced(Enum):
    """Who is told that a call of a model is recorded already.

    Members:
        WHO_LISTENS: Those who know a word for it. Spans of anything else, such as of the HTTP request, stay.
        BUT_TRACELOOP: The same, but for Traceloop's, one of which is to record the call.
        EVERYBODY: All instrumentations, those of HTTP clients too, as some know no other word.
    """

    WHO_LISTENS = auto()
    BUT_TRACELOOP = auto()
    EVERYBODY = auto()


@dataclass(frozen=True, slots=True)
class RecordedElsewhere:
    """Somebody else records a call of a model.

    Attributes:
        metrics: Whether they record ``gen_ai.client`` metrics of it, too.
        silenced: Who is told of it.
    """

    metrics: bool
    silenced: Silenced = Silenced.WHO_LISTENS


def name_conversation(context: Context, session_id: str) -> Context:
    """Tell other instrumentations which conversation runs in a context.

    Args:
        context: Any context.
        session_id: The conversation.

    Returns:
        The context itself when none of them is loaded, else a new one.
    """
    loaded = sys.modules
    if _OPENINFERENCE in loaded:
        context = context_api.set_value(semconv.SESSION_ID, session_id, context)
    official = loaded.get(_OFFICIAL_CONVERSATION)
    if official is not None and isinstance(key := _member(official, "CONVERSATION_ID_KEY"), str):
        context = context_api.set_value(key, session_id, context)
    if _TRACELOOP in loaded:
        given = context.get(_TRACELOOP_PROPERTIES)
        labels = cast("dict[str, object]", given) if isinstance(given, dict) else {}
        context = context_api.set_value(_TRACELOOP_PROPERTIES, {**labels, "session_id": session_id}, context)
        context = context_api.set_value(_TRACELOOP_CONVERSATION, session_id, context)
    return context


def recorded_around(context: Context, *, metrics: bool) -> Context:
    """Say that the next turn in a context is part of a call that somebody else records.

    Args:
        context: Any context.
        metrics: Whether they record ``gen_ai.client`` metrics of it, too.

    Returns:
        A new context.
    """
    return context_api.set_value(_AROUND, RecordedElsewhere(metrics=metrics), context)


def taken_around(context: Context) -> tuple[RecordedElsewhere | None, Context]:
    """Take what `recorded_around` said, for one turn: what that calls in its turn is a call of its own.

    Args:
        context: The context that the turn begins in.

    Returns:
        What was said, and the context without it.
    """
    around = context.get(_AROUND)
    if not isinstance(around, RecordedElsewhere):
        return None, context
    return around, context_api.set_value(_AROUND, None, context)


def recorded_elsewhere(
    context: Context, sdk_calls: Sequence[str], *, around: RecordedElsewhere | None = None
) -> RecordedElsewhere | None:
    """Tell whether somebody records a call of a model who cannot be told to leave it to us.

    Args:
        context: The context that the call is made in.
        sdk_calls: The SDK's functions that it goes through, each ``module:Class.function``.
        around: Who records a call that this one is part of.

    Returns:
        What they record, None when the call is ours to record.
    """
    loaded = sys.modules
    official = loaded.get(_OFFICIAL)
    if around is None and official is not None and _is_inside_inference(official, context):
        around = RecordedElsewhere(metrics=True)
    if _OPENINFERENCE not in loaded and _TRACELOOP not in loaded:
        return around
    disobeying = next(filter(None, map(_disobeying, sdk_calls)), None)
    if around is None or disobeying is None:
        return around or disobeying
    return replace(around, silenced=Silenced.EVERYBODY)


def silencing(context: Context, silenced: Silenced, *, provider: object = None) -> Context:
    """Tell other instrumentations that a call of a model is recorded already.

    What the official ones upload to a store of the user's is still uploaded.

    Args:
        context: The context that the call is made in.
        silenced: Who is told.
        provider: ``gen_ai.provider.name`` of who is called.

    Returns:
        The context itself when none of them is loaded, else a new one.
    """
    loaded = sys.modules
    official = loaded.get(_OFFICIAL)
    if official is not None and not _is_inside_inference(official, context):
        key, make = _member(official, _OFFICIAL_KEY), _member(official, _OFFICIAL_DATA)
        if isinstance(key, str) and isinstance(make, type):
            context = context_api.set_value(key, make(upload_completion=True), context)
    traceloop = loaded.get(_TRACELOOP) if silenced is not Silenced.BUT_TRACELOOP else None
    if traceloop is not None and isinstance(key := _member(traceloop, _TRACELOOP_SWITCH), str):
        context = context_api.set_value(key, True, context)
    changer = _CHANGED_STREAMS.get(provider) if isinstance(provider, str) else None
    is_changed = changer is not None and f"{_OPENINFERENCE}.{changer}" in loaded
    if (is_changed or silenced is Silenced.EVERYBODY) and isinstance(
        key := getattr(context_api, _ALL_SWITCH, None), str
    ):
        context = context_api.set_value(key, True, context)
    return context


def _disobeying(call: str) -> RecordedElsewhere | None:
    """Return what is recorded of a call of an SDK by those around it who do not know that it is recorded already."""
    for module in _wrapping_modules(call):
        if module.startswith(_OPENINFERENCE + "."):
            return RecordedElsewhere(metrics=False)
        if any(module.startswith(own) and call.startswith(api) for own, api in _TRACELOOP_DISOBEYING):
            return RecordedElsewhere(metrics=False, silenced=Silenced.BUT_TRACELOOP)
    return None


def _is_inside_inference(official: ModuleType, context: Context) -> bool:
    """Whether an official instrumentation records a call of a model around a context; those within it keep silent."""
    key, kind = _member(official, _OFFICIAL_KEY), _member(official, _OFFICIAL_DATA)
    return isinstance(key, str) and isinstance(kind, type) and isinstance(context.get(key), kind)


def _wrapping_modules(call: str) -> Iterator[str]:
    """Yield where the wrappers around a function of an SDK come from; nothing if the SDK is not loaded."""
    module, _, path = call.partition(":")
    function: object = sys.modules.get(module)
    for name in path.split("."):
        function = _member(function, name)
    for _ in range(_MOST_WRAPPERS):  # one that says that it wraps itself would never come to an end
        inner = _member(function, "__wrapped__")
        if inner is None:
            return
        wrapper = _member(function, "_self_wrapper")  # of wrapt, which all of them wrap with
        yield str(_member(function if wrapper is None else wrapper, "__module__"))
        function = inner


def _member(owner: object, name: str) -> object:
    """Return what another's object has under a name. One that cannot even say so, as lazy modules may, has nothing."""
    try:
        return getattr(owner, name, None)
    except Exception:  # noqa: BLE001 - the code of others
        return None
