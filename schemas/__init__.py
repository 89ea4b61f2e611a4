"""One file for each resource: what comes in is checked by them, what goes out is documented by them."""
