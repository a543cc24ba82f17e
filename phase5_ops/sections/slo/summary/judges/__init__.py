"""The judges of the tool metrics: visible (1.1), SLO met, error budget not burning."""
