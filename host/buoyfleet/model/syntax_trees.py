"""One thread at a time works on syntax trees."""

import threading

SYNTAX_TREES = threading.RLock()
"""Hold it around `ast.parse`, `ast.unparse` and all between. CPython 3.11 counts recursion for all
threads together (its issue 106905) and fails with "AST constructor recursion depth mismatch"."""
