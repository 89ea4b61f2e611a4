"""One class for each resource: named queries in, rows out. They never commit."""
