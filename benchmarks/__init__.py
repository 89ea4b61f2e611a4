"""Load measurements of the service against floors and peers: `bin/bench`, explained in docs/performance.md."""
