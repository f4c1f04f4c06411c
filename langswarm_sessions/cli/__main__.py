"""The command line, as `python -m langswarm_sessions.cli`."""

from __future__ import annotations

import sys

from langswarm_sessions.cli import main

sys.exit(main())
