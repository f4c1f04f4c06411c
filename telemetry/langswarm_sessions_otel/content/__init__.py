"""What was said, as far as it is recorded."""
