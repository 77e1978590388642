"""The HL7 v2-to-FHIR implementation guide as mappings: reads the official tables (CSV) and writes
``mappings/lib/v2``.

`rows` reads the tables; `patches` mends them, as `slips` and `choices` say; `conditions` and
`targets` read their little languages; `trees` puts the rows of one map together.  `output` writes
a tree as a map, with `values`, `references` and `sources`; `vocabulary` does the same for code
maps; `bodies` and `parts` hold what is written by hand.  `library` makes all files, `text` their
YAML.  ``python -m engine.guide`` runs it; nothing here is needed at run time.
"""
