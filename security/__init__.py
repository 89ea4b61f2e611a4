"""Passwords, keys, tokens and encryption: pure, no HTTP and no database."""
