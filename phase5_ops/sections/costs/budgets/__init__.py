"""Row 5.1: the autonomy budget of every tenant is visible."""
