"""Spans that were kept in a file, read back and drawn. Loads no SDK."""
