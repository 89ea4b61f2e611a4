"""The background process: its loop, and one file for each kind of work."""
