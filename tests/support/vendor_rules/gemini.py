"""Gemini's rules for interactions and for generate_content."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from tests.support.gemini_server import views

from .media import media_rule
from .table import Body, Rule, refused, rule

__all__ = ["CONTENT_RULES", "INTERACTION_RULES"]

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}", re.ASCII)
_QUOTED = "refusal of the live API, quoted in issues of its users"
_NAME_SAYS = "The name of a function begins with a letter or underscore; 64 letters, digits and _ . : - at most."
_NAME_SOURCE = f'"Invalid function name. Must start with a letter or an underscore", {_QUOTED}'

_MORE_IMAGES = frozenset({"image/heic", "image/heif"})

Item = dict[str, Any]


class _Anything(frozenset[str]):
    """Signatures of any kind: which of them the provider issued, only its server knows."""

    def __contains__(self, signature: object) -> bool:
        return bool(signature)


# Interactions


@rule(
    "Every function_call has a function_result, before the user speaks again; a thought that is sent back is signed.",
    source=f"facts §4 (steps); {_QUOTED}",
)
def steps_fit_together(body: Body) -> str | None:
    return refused(lambda: views.check_steps(body["input"], signatures=_Anything()))


@rule("Ids of calls are not empty and not given twice.", source="facts §4: function_result names its call by `call_id`")
def step_ids_are_unique(body: Body) -> str | None:
    ids = [step["id"] for step in body["input"] if step["type"] == "function_call"]
    return None if all(ids) and len(set(ids)) == len(ids) else repr(ids)


@rule(_NAME_SAYS, source=_NAME_SOURCE)
def step_names_are_plain(body: Body) -> str | None:
    return _bad_name(
        [step["name"] for step in body["input"] if step["type"].startswith("function_") and "name" in step]
    )


@rule("A step says something.", source=f'"contents.parts must not be empty", {_QUOTED}')
def steps_are_not_empty(body: Body) -> str | None:
    spoken = {"user_input", "model_output"}
    empty = [at for at, step in enumerate(body["input"]) if step["type"] in spoken and not step.get("content")]
    return f"input[{empty[0]}]" if empty or not body["input"] else None


INTERACTION_RULES: tuple[Rule, ...] = (
    steps_fit_together,
    step_ids_are_unique,
    step_names_are_plain,
    steps_are_not_empty,
    media_rule(
        source="`mime_type` of ImageContent in google-genai",
        more_images=_MORE_IMAGES | {"image/bmp", "image/tiff"},
        reads_buckets=True,
    ),
)


# generate_content


def _parts(content: Item, name: str) -> list[Item]:
    return [part[name] for part in content["parts"] if name in part]


@rule(
    "The roles are user and model; no content is empty; as many responses follow as there were calls, named alike; the "
    "first call of a turn is signed.",
    source=f"facts §4; docs on thought signatures; {_QUOTED}",
)
def contents_fit_together(body: Body) -> str | None:
    strict = not body["model"].startswith(("gemini-1", "gemini-2"))
    return refused(lambda: views.check_contents(body["contents"], signatures=_Anything(), is_strict=strict))


@rule("The first content is the user's.", source=f'"Please ensure that multiturn requests alternate", {_QUOTED}')
def the_user_begins(body: Body) -> str | None:
    return None if body["contents"][0]["role"] == "user" else "contents[0]"


@rule("The last content is the user's.", source=f'"Requests ending with a model turn are not supported", {_QUOTED}')
def the_user_ends(body: Body) -> str | None:
    return None if body["contents"][-1]["role"] == "user" else "the last of contents"


@rule(
    "A function call comes immediately after a user turn or after a function response turn.",
    source=f'"Please ensure that function call turn comes immediately after a user turn", {_QUOTED}',
)
def the_model_speaks_once(body: Body) -> str | None:
    for at, (before, after) in enumerate(pairwise(body["contents"])):
        if before["role"] == after["role"] == "model":
            return f"contents[{at + 1}]"
    return None


@rule("Function responses share their content with nothing else.", source=f"400 of Vertex AI, {_QUOTED}")
def responses_stand_alone(body: Body) -> str | None:
    for at, content in enumerate(body["contents"]):
        if len(_parts(content, "functionResponse")) not in {0, len(content["parts"])}:
            return f"contents[{at}]"
    return None


@rule(_NAME_SAYS, source=_NAME_SOURCE)
def content_names_are_plain(body: Body) -> str | None:
    kinds = ("functionCall", "functionResponse")
    return _bad_name([one["name"] for kind in kinds for content in body["contents"] for one in _parts(content, kind)])


CONTENT_RULES: tuple[Rule, ...] = (
    contents_fit_together,
    the_user_begins,
    the_user_ends,
    the_model_speaks_once,
    responses_stand_alone,
    content_names_are_plain,
    media_rule(
        source="Google's guide to images; google/adk-python, issue 5693",
        more_images=_MORE_IMAGES | {"image/avif"},
        reads_buckets=True,
    ),
)


def _bad_name(names: list[str]) -> str | None:
    return next((repr(name) for name in names if not _NAME.fullmatch(name)), None)
