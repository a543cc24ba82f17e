"""The auditor's archive: what the gate recorded in a period, in one file that verifies offline."""
