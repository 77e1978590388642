"""The ``carebus`` command: run, look, decide, check and try, from a terminal.

One file a command.  Commands about a running engine ask its control endpoint and have no other way
in; the others read the project from disk.
"""

from engine.cli.main import main

__all__ = ["main"]
