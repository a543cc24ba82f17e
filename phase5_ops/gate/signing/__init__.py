"""Keys and identities: who signs, with what, and which keys are trusted."""
