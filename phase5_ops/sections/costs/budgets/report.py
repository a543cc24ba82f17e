"""Budget use by tenant as Markdown, for the metadata of `autonomy_budget`. Pure; judges nothing."""

import json
from typing import Any

import pandas as pd

_MOST_TENANTS = 50


def by_tenant(table: pd.DataFrame, limit: int = _MOST_TENANTS) -> str:
    """One line a tenant, the fullest budgets first: accounts, modes, caps, use today and over all days, what is left.

    Args:
        table: `autonomy_budget`.
        limit: tenants shown; the others are counted.
    """
    if table.empty:
        return "No tenant was read."
    today = table["day"].max()
    lines = [
        f"| tenant | accounts | modes | caps a day | used {today} | left | used {table['day'].nunique()} days | fullest day"
        " | decisions left | kill switch |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    used = table.assign(used=table[["total", "consumed"]].max(axis=1).fillna(0).astype("int64"))
    used["share"] = (used["used"] / used["cap"].astype("Float64")).where(used["cap"].fillna(0) > 0)
    tenants = used.groupby("tenant", sort=False).agg(share=("share", "max"), used=("used", "sum")).fillna(0).reset_index()
    chosen = tenants.sort_values(["share", "used", "tenant"], ascending=[False, False, True])["tenant"].tolist()
    groups = used[used["tenant"].isin(chosen[:limit])].groupby("tenant", sort=False)
    lines += [_line(tenant, groups.get_group(tenant), today) for tenant in chosen[:limit]]
    if len(chosen) > limit:
        lines.append(f"\n{len(chosen) - limit} more tenants, none of them with a fuller day; the stored table has them all.")
    return "\n".join(lines)


def _line(tenant: str, rows: pd.DataFrame, today: str) -> str:
    now = rows[rows["day"] == today]
    first = now.iloc[0]
    accounts = [account for account in now["account"] if account]
    caps = now["cap"].dropna()
    left = now["remaining"].dropna()
    decisions = now["daily_decisions_remaining"].dropna()
    share = rows["share"].max()
    cells = (
        tenant,
        str(len(accounts)),
        ", ".join(sorted({*now["mode"], *(mode for modes in now["modes"] for mode in json.loads(modes).values())})),
        _span(caps.tolist()) if len(caps) else "none",
        str(now["used"].sum()),
        str(left.sum()) if len(left) else "-",
        str(rows["used"].sum()),
        f"{share:.0%}" if pd.notna(share) else "-",
        f"{decisions.sum():g}" if len(decisions) else "-",
        _kill_switch(first),
    )
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _span(numbers: list[int]) -> str:
    return str(numbers[0]) if min(numbers) == max(numbers) else f"{min(numbers)} to {max(numbers)}"


def _kill_switch(row: "pd.Series[Any]") -> str:
    if pd.isna(row["execution_enabled"]):
        return "unknown"
    disabled = json.loads(str(row["disabled_action_types"]))
    return "stopped" if not row["execution_enabled"] else f"stops {', '.join(disabled)}" if disabled else "off"
