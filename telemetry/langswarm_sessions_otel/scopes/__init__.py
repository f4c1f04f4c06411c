"""What telemetry is told while something runs: one scope for each span."""
