"""Runs the tests of this folder where no other machine is: in a network namespace that has loopback alone.

Phoenix opens a port on every interface, whatever it is told. Arguments are pytest's.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.accept.tracing.chromium import browser

INSIDE = "TRACING_NAMESPACE"
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP of Linux


def _entering() -> list[str]:
    """Return the command that runs another one in a namespace of its own.

    Raises:
        SystemExit: There is no such command, or this system lets nobody make namespaces.
    """
    if shutil.which("unshare") is None:
        raise SystemExit("accept-tracing runs on Linux, with unshare of util-linux: it keeps the servers on loopback.")
    as_user = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *as_user, "--net", "--"]
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        raise SystemExit(
            f"accept-tracing needs a network namespace, which this system refuses: {tried.stderr.strip()}\n"
            "Run it as root, in a container with --privileged, or where unprivileged user namespaces are allowed."
        )
    return command


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        name = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack_from("H", fcntl.ioctl(control, _GET_FLAGS, name), 16)
        fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sH14x", b"lo", flags | _UP))


def main() -> int:
    """Enter the namespace, then run the tests; the status is pytest's."""
    if INSIDE not in os.environ:
        if browser() is None:
            raise SystemExit(
                "accept-tracing takes pictures with Chromium: apt-get install chromium, or CHROMIUM=/path."
            )
        command = [*_entering(), sys.executable, "-m", "tests.accept.tracing", *sys.argv[1:]]
        os.execvpe(command[0], command, {**os.environ, INSIDE: "1"})
    _raise_loopback()
    return pytest.main(["-m", "accept", str(Path(__file__).parent), *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
