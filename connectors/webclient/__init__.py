"""One HTTP request, sent once, and an honest word about what became of it.

Shared by the connectors that speak HTTP to a peer (http, fhir, later soap and dicomweb).  It is
no connector itself: it has no SPEC, and knows neither HL7 nor FHIR.
"""
