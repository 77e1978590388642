"""The HL7 v2-to-FHIR implementation guide as mappings: reads the official tables (CSV) and writes
``mappings/lib/v2``.

`rows` reads the tables, `patches` mends them, `conditions` and `targets` read their little
languages, `elements` knows what FHIR R4 allows at a target, `trees` puts the rows of one map
together, `output` writes them as nodes of the mapping language and `text` as YAML; `codes` does
the same for the code maps.  ``python -m engine.guide`` runs it all; nothing here is needed at run
time.
"""
