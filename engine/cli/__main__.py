"""``python -m engine.cli`` is ``carebus``."""

from engine.cli.main import main

main()
