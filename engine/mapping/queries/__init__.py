"""Standard query languages: FHIRPath and JSONPath, read when a mapping is compiled."""
