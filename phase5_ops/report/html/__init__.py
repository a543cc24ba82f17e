"""The readiness report: one HTML file that needs nothing else. `render.py` writes it; the page itself is in `templates/`.

What must not live here: reading the platform, deciding, where the file goes.
"""
