"""Row 1.2 and no_slo_alarm_firing: SLO alarms, what they would do, and whether anybody hears them."""
