"""The journal holds what was really sent, from any number of threads, and never the key."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from openai import AuthenticationError, BadRequestError

from tests.support.openai_server import OpenAIServer

SUPPORT = Path(__file__).resolve().parents[1] / "support"
FOREIGN_TEST = """
from tests.support.openai_server import OpenAIServer

def test_well(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        assert client.responses.create(model="gpt-5", input="hi").output_text == "[1] You said: hi"

def test_badly(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        try:
            client.responses.create(model="gpt-5", input="hi", extra_body={"tempo": 1})
        except Exception:
            pass
"""


def test_requests_are_written_down_without_the_key(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        made = client.responses.create(model="gpt-5", input="hi", extra_headers={"x-turn": "t1"})
        client.responses.retrieve(made.id, include=["reasoning.encrypted_content"])
        with pytest.raises(BadRequestError):
            client.responses.create(model="gpt-5", input="hi", previous_response_id="resp_x")
        with pytest.raises(AuthenticationError):
            client.with_options(api_key="sk-wrong").responses.create(model="gpt-5", input="hi")

    records = openai_server.requests
    assert [(record.method, record.status, record.outcome) for record in records] == [
        ("POST", 200, "answered"),
        ("GET", 200, "answered"),
        ("POST", 400, "answered"),
        ("POST", 401, "answered"),
    ]
    assert records[0].body == {"model": "gpt-5", "input": "hi"}
    assert records[0].response_id == records[1].response_id == made.id
    assert records[1].path.startswith(f"/v1/responses/{made.id}?include")
    assert records[0].headers["x-turn"] == "t1"
    assert len(openai_server.creates) == 3
    assert openai_server.api_key not in repr(records)
    assert "sk-wrong" not in repr(records)
    assert "authorization" not in records[0].headers


def test_only_answered_contexts_are_model_views(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        made = client.responses.create(model="gpt-5", input="hi", instructions="be brief")
        with pytest.raises(BadRequestError):
            client.responses.create(model="gpt-5", input="hi", previous_response_id="resp_x")

    [view] = openai_server.model_views
    assert (view.response_id, view.model, view.instructions) == (made.id, "gpt-5", "be brief")
    assert view.user_texts == ["hi"]


def test_doubled_history_shows_in_the_view(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        first = client.responses.create(model="gpt-5", input="one")
        doubled = client.responses.create(
            model="gpt-5",
            previous_response_id=first.id,
            input=[{"role": "user", "content": "one"}, {"role": "user", "content": "two"}],
        )

    assert doubled.output_text == "[3] You said: two"
    assert openai_server.model_views[-1].user_texts == ["one", "one", "two"]


def test_many_threads_at_once(openai_server: OpenAIServer) -> None:
    def converse(number: int) -> str:
        previous = None
        text = ""
        with openai_server.client() as client:
            for turn in range(5):
                made = client.responses.create(model="gpt-5", input=f"{number}.{turn}", previous_response_id=previous)
                previous, text = made.id, made.output_text
        return text

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(converse, range(16)))

    assert said == [f"[5] You said: {number}.4" for number in range(16)]
    assert len({record.response_id for record in openai_server.requests}) == 80


def test_connections_are_counted(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        client.responses.create(model="gpt-5", input="hi")
        assert openai_server.open_connections == 1
    openai_server.wait_for_connections(0)


def test_unknown_paths_are_not_found(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client, pytest.raises(Exception, match="Invalid URL"):
        client.models.list()


@pytest.mark.accept
def test_the_plugin_works_from_a_copied_directory_and_fails_on_violations(tmp_path: Path) -> None:
    for name in ("openai_server", "provider_server"):
        shutil.copytree(SUPPORT / name, tmp_path / "tests" / "support" / name)
    foreign = tmp_path / "tests" / "test_foreign.py"
    foreign.write_text(FOREIGN_TEST)

    options = ["-q", "-c", os.devnull, "--rootdir", str(tmp_path), "--import-mode=importlib", "-o", "pythonpath="]
    command = [sys.executable, "-m", "pytest", *options, "-p", "tests.support.openai_server.plugin", str(foreign)]
    ran = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )

    assert "2 passed, 1 error" in ran.stdout
    assert "tempo: Extra inputs are not permitted" in ran.stdout
