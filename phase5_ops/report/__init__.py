"""The result of a readiness run as a document, one module an output format."""
