"""What would mend a row, as code: resources as plain values, and how each format writes them. Applies nothing. Pure."""
