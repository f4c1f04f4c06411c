"""Pictures of a backend's pages, taken by a headless Chromium and made small."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.accept.tracing.processes import program

__all__ = ["browser", "take_picture"]

_VARIABLE = "CHROMIUM"
_SECONDS = 120
_SHRINK = """
import sys
from PIL import Image
with Image.open(sys.argv[1]) as picture:
    palette = picture.convert("RGB").quantize(64, dither=Image.Dither.NONE)
palette.save(sys.argv[1], optimize=True)
"""


_MANIFEST = {
    "manifest_version": 3,
    "name": "No greetings",
    "version": "1",
    "content_scripts": [
        {"matches": ["http://127.0.0.1/*"], "js": ["quiet.js"], "css": ["still.css"], "run_at": "document_start"}
    ],
}
_SEEN_BEFORE = [
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1",
    "mlflow.detectIssues.guidanceShown_v1",
    "mlflow.detectIssues.guidanceDismissed_v1",
]
"""What MLflow greets newcomers with, over its pages."""
_STILL = "*, *::before, *::after { animation: none !important; transition: none !important; }"


def browser() -> str | None:
    """Return the program, None when there is none."""
    named = os.environ.get(_VARIABLE)
    return named or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def take_picture(url: str, path: Path, *, width: int, height: int, wait_seconds: float = 15) -> None:
    """Take a picture of a page.

    Args:
        url: The page.
        path: The PNG file.
        width: Of the window, in pixels.
        height: Of the window, in pixels.
        wait_seconds: How long the page's own clock runs before the picture is taken.
    """
    found = browser()
    assert found is not None, f"Chromium is needed: install it, or name its program in {_VARIABLE}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        command = [
            found,
            "--headless",
            "--no-sandbox",  # it opens pages of this machine alone, and root has no other way
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--force-prefers-reduced-motion",  # no picture of what is still sliding in
            f"--load-extension={_quiet(Path(folder))}",
            "--disable-features=DisableLoadExtensionCommandLineSwitch",
            f"--user-data-dir={folder}/profile",
            f"--window-size={width},{height}",
            f"--virtual-time-budget={int(wait_seconds * 1000)}",
            f"--screenshot={path}",
            url,
        ]
        variables = {"PATH": os.environ["PATH"], "HOME": folder, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            command, env=variables, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    assert done.returncode == 0, done.stderr[-2000:]
    subprocess.run([program(".venv-mlflow", "python"), "-c", _SHRINK, path], check=True)  # MLflow brings Pillow


def _quiet(folder: Path) -> Path:
    """Write an extension that lets pages believe they were seen before, and keeps them still."""
    extension = folder / "quiet"
    extension.mkdir()
    (extension / "manifest.json").write_text(json.dumps(_MANIFEST))
    script = "".join(f'localStorage.setItem("{name}", "true");' for name in _SEEN_BEFORE)
    (extension / "quiet.js").write_text(script)
    (extension / "still.css").write_text(_STILL)
    return extension
