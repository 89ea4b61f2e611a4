"""One file for each resource: HTTP in, HTTP out."""
