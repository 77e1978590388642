"""From a directory of YAML to a configuration that can run: all of it checked and compiled, or
nothing.

`load` reads, checks and compiles a project; `find_connectors` asks the installed packages for their
connectors; `schema` writes the JSON Schemas that editors complete from; `diff` says what a reload
changes.
"""
