"""One module or small package per protocol.  A connector imports engine.contract, engine.units
and engine.formats, and nothing else of the engine, nor another connector."""
