"""An HTTP port for connectors that listen: limits, deadlines, and who the peer is.

Shared by the connectors that take HTTP requests (http, carebus).  It is no connector itself: it
has no SPEC, and knows nothing of messages.
"""
