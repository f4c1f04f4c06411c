"""`configure_telemetry`: what was asked for, and what the user has in hand of it."""
