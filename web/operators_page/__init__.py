"""The page for operators: who may see it, what it reads, what it makes of that, and how it looks."""
