"""The command line: one click command a file; it parses, calls and prints."""
