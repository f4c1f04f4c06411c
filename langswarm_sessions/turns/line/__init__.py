"""A turn's place in line: within this process first, then among processes by a lease that is kept alive."""
