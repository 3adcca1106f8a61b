"""Many recordings at once: which ones, in which processes, and where the results go."""
