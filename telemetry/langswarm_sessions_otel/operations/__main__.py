"""Writes the pack into a folder: ``python -m langswarm_sessions_otel.operations FOLDER``."""

from __future__ import annotations

import argparse
from pathlib import Path

from langswarm_sessions_otel.operations.files import pack_files


def main() -> None:
    """Write the files of the pack."""
    parser = argparse.ArgumentParser(prog="python -m langswarm_sessions_otel.operations", description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write to; it is made if need be")
    folder: Path = parser.parse_args().folder
    for name, text in pack_files().items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            parser.exit(1, f"error: {path} cannot be written ({error.strerror}). Name another folder.\n")


if __name__ == "__main__":
    main()
