"""Reading the databases of other programs: opened to be read only, in pages, on a thread of their own."""

from __future__ import annotations
