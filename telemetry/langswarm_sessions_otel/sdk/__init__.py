"""What needs the OpenTelemetry SDK; imported by `configure_telemetry` alone."""
