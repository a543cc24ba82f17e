"""What every readiness run leaves when it ends: its document and report, its tags in Dagster, and the asset `readiness`."""
