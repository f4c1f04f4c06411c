"""One send: its place in line, its stored input, a turn or several when tools are run, its stored answer."""
