"""Load generators, sinks and measurements.  Nothing here is a test, and nothing here is shipped."""
