"""The workflow language: reading definitions, checking them, reckoning with times. Knows no HTTP, no database."""
