"""The control endpoint: health, metrics, and what the command line and later the dashboard ask for.

It speaks HTTP on the loopback address and is the only way into a running engine.
"""
