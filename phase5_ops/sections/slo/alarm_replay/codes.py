"""What the replay of alarms can find (check alarms_would_have_fired). Pure."""

from phase5_ops.verdict import FindingCode, FindingCodes, Verdict


class ReplayCode(FindingCodes):
    """What alarms would have done about the breaches of thirty days."""

    BREACH_NOT_CAUGHT = FindingCode(
        Verdict.FAIL,
        "A tool missed its SLO for longer than the shortest window of the alarms that watch it, or than the longest window that"
        " row 1.2 allows, and none of them would have told anyone.",
        "See what the alarm reads, its threshold, data points to alarm and treatment of missing data, and who hears of it; then"
        " run again: the same breach is replayed on the alarm as it then is.",
    )
    BREACH_CAUGHT_LATE = FindingCode(
        Verdict.WARN,
        "People would have been told of a breach later than the policy wants.",
        "Let fewer data points alarm, or shorten the period; a composite's suppressor and mute rules delay as well.",
    )
    BREACH_NOT_REPLAYED = FindingCode(
        Verdict.INCONCLUSIVE,
        "No alarm is known to have caught a breach longer than their window, and of one it is not known what it would have done.",
        "An alarm with a period of 300 s can be replayed for thirty days, with 60 s for 15 days; see the reason in the finding.",
        not_tried=True,
    )
    HOURS_NOT_READ = FindingCode(
        Verdict.INCONCLUSIVE,
        "In some hours a breach is possible by their counts, and the metrics of all tenants by five minutes, which would tell,"
        " are more than the policy reads.",
        "Raise PHASE5_ALARM_REPLAY__MAX_METRICS_READ_AGAIN, and PHASE5_READING__DEADLINE_SECONDS with it.",
        not_tried=True,
    )
    ALARM_NOT_REPLAYED = FindingCode(
        Verdict.INCONCLUSIVE,
        "An alarm cannot be replayed on the recorded metrics, so that it was put to no test (WARN where another alarm of the same"
        " tool and signal was).",
        "Watch the tool with an alarm on a fixed threshold, of the platform's own metrics in the same account; where the finding"
        " names a setting, raise it.",
        also=(Verdict.WARN,),
        not_tried=True,
    )
    NO_ALARM_TO_REPLAY = FindingCode(
        Verdict.INCONCLUSIVE,
        "No alarm watches any registered tool, so that there is nothing to replay.",
        "Create the SLO alarms that row 1.2 asks for.",
        not_tried=True,
    )
    FALSE_ALARMS = FindingCode(
        Verdict.WARN,
        "An alarm would have gone into ALARM more often than the policy allows while its tools met their SLO; each whole day that"
        " it stays there counts once more.",
        "Compare its threshold with the SLO's, and let more data points decide: people stop looking at what fires for nothing.",
    )
    ALARM_FLAPS = FindingCode(
        Verdict.WARN,
        "An alarm would have gone into ALARM again and again within an hour.",
        "Let more data points decide (M out of N), so that one good period does not end the alarm.",
    )
    FIRED_WITHOUT_REASON = FindingCode(
        Verdict.WARN,
        "CloudWatch's own history says that an alarm was in ALARM when by its definition and the recorded metrics it should not"
        " have been.",
        "See the reason in the alarm's history: its state was set by hand, or data points came late.",
    )
    DID_NOT_FIRE = FindingCode(
        Verdict.FAIL,
        "By its definition and the recorded metrics an alarm should have gone into ALARM, and CloudWatch's own history says that"
        " it did not, or long before or after (WARN: without a breach, or another alarm of the same tool and signal did, and told"
        " people).",
        "See the alarm's history and EvaluationState at that time: CloudWatch could not evaluate it, or data points came late.",
        also=(Verdict.WARN,),
    )
