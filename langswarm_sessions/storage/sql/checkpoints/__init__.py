"""Statements over the checkpoints of graphs: threads, checkpoints, channel values, writes."""
