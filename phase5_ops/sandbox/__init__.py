"""An embedded CCNative on an embedded AWS, for demos and tests. Never imported by production code."""
