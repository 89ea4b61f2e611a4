"""The frame between HTTP and the repositories: what every resource shares, once."""
