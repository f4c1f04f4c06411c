"""What lives as long as the process: threads, locks and forks, the last flush."""
