"""The finding codes of the replay audit over files, beside those of the ledger itself. Pure."""

from phase5_ops.verdict import FindingCode, FindingCodes, Verdict


class LedgerFileCode(FindingCodes):
    """What can be wrong with the files of a ledger, beside what is wrong with the ledger."""

    LEDGER_FILE_WITHOUT_ITEMS = FindingCode(
        Verdict.WARN,
        "A file was read whole and holds no item of the ledger: an empty answer, or an empty list.",
        "Check that it is the file that was meant: a filter, a wrong table or an export that failed leaves such a file too.",
    )
    LEDGER_EXPORTS_LEAVE_A_GAP = FindingCode(
        Verdict.INCONCLUSIVE,
        "The exports do not reach over the whole time that is judged: there is no full export before an incremental one, or there"
        " is time between two exports, or between the last and the evaluation time, that none of them covers. What was written"
        " then was not read.",
        "Give the exports that cover the time named as well (an incremental export from the end of the one before), or judge as"
        " of an earlier time (PHASE5_NOW).",
        not_tried=True,
    )
