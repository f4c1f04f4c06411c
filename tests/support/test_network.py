"""The guard itself: loopback passes, everything else is refused and noticed."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import network

ELSEWHERE = "192.0.2.1"  # reserved for documentation: no machine has it


@pytest.mark.parametrize("host", [None, "", b"localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "::1", "0.0.0.0"])
def test_this_machine_is_local(host: str | bytes | None) -> None:
    assert network.is_local(host)


@pytest.mark.parametrize(
    "host", [ELSEWHERE, "10.0.0.1", "example.org", b"example.org", "2001:db8::1", "localhost.example"]
)
def test_other_machines_are_not(host: str | bytes) -> None:
    assert not network.is_local(host)


def test_a_connection_elsewhere_is_refused_and_remembered() -> None:
    with socket.socket() as plain, pytest.raises(network.ForeignHostError, match="loopback only"):
        plain.connect((ELSEWHERE, 443))
    with pytest.raises(network.ForeignHostError):
        socket.getaddrinfo("example.org", 443)
    assert network.refused == [ELSEWHERE, "example.org"]
    network.refused.clear()


def test_a_connection_to_this_machine_passes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        client.sendall(b"x")
        accepted, _ = server.accept()
        with accepted:
            assert accepted.recv(1) == b"x"


def test_each_test_has_an_empty_folder_outside_the_tree() -> None:
    assert not list(Path.cwd().iterdir())
    assert Path(__file__).parents[2] not in [Path.cwd(), *Path.cwd().parents]


def test_no_key_of_the_machine_is_seen() -> None:
    assert not [name for name in os.environ if name.startswith(("OPENAI_", "OTEL_", "LANGSMITH_"))]


@given(st.integers())
def test_hypothesis_accepts_the_fixtures_of_every_test(number: int) -> None:
    assert isinstance(number, int)
