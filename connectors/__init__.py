"""One module or small package per protocol.  A connector imports engine.contract, engine.units
and engine.formats, and nothing else of the engine, nor another connector.

`webclient` (one HTTP request and how it ended) and `pace` (a channel's ``limits.rate``) are no
connectors: they are what several of them share.
"""
