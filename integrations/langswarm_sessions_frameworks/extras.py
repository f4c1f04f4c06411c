"""What is said when a framework is not installed."""

from __future__ import annotations

from langswarm_sessions.errors import MissingDependencyError

__all__ = ["needed"]


def needed(package: str, extra: str) -> MissingDependencyError:
    """Return the error of a package that is not there.

    Args:
        package: Its name on PyPI.
        extra: The extra of langswarm-sessions that brings it.

    Example:
        >>> print(needed("openai-agents", "openai-agents"))
        This needs openai-agents. Install it with: pip install 'langswarm-sessions[openai-agents]'
    """
    return MissingDependencyError(f"This needs {package}. Install it with: pip install 'langswarm-sessions[{extra}]'")
