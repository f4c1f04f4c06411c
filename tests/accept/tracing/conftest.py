"""One Phoenix and one MLflow for the tests of this folder, and the loads that were played into them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.accept.tracing.account import Account
from tests.accept.tracing.loads import Backends, Load
from tests.accept.tracing.mlflow import MLflow
from tests.accept.tracing.phoenix import Phoenix
from tests.accept.tracing.shown import Shown

NAME = "support-desk"
WAYS = {
    "phoenix over http": ("phoenix", "http/protobuf", ""),
    "phoenix over grpc": ("phoenix", "grpc", "-grpc"),
    "mlflow": ("mlflow", "http/protobuf", ""),
}


@pytest.fixture(scope="session")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    """Start both, side by side, and end them."""
    phoenix = Phoenix(tmp_path_factory.mktemp("phoenix"))
    try:
        mlflow = MLflow(tmp_path_factory.mktemp("mlflow"))
        try:
            phoenix.process.wait()
            mlflow.process.wait()
            yield Backends(phoenix=phoenix, mlflow=mlflow)
        finally:
            mlflow.process.end()
    finally:
        phoenix.process.end()


@pytest.fixture(scope="session")
def loads(backends: Backends, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Load]:
    """Play the whole load into each backend, and go on in a second process."""
    made = {
        way: Load(
            backend=getattr(backends, backend),
            protocol=protocol,
            name=NAME + suffix,
            suffix=suffix,
            folder=tmp_path_factory.mktemp("load"),
        )
        for way, (backend, protocol, suffix) in WAYS.items()
    }

    def play(load: Load) -> None:
        load.play()
        load.play("--again")

    with ThreadPoolExecutor(len(made)) as threads:
        list(threads.map(play, made.values()))
    return made


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest) -> str:
    """Each backend and protocol in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def all_shown(loads: dict[str, Load]) -> dict[str, Shown]:
    """What is shown of each load."""
    return {way: load.shown() for way, load in loads.items()}


@pytest.fixture
def shown(way: str, all_shown: dict[str, Shown]) -> Shown:
    """What the backend shows."""
    return all_shown[way]


@pytest.fixture
def account(way: str, loads: dict[str, Load]) -> Account:
    """What was done."""
    return loads[way].account
