"use strict";
// Long tables can be sorted, filtered and paged. Without this script every row stands in the page.
(() => {
  const PAGE = 50, LONG = 20;
  const text = (row, column) => row.cells[column].textContent;
  const element = (name, properties, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  const equip = (table) => {
    const body = table.tBodies[0], all = Array.from(body.rows), heads = Array.from(table.tHead.rows[0].cells);
    if (all.length < 2) return;
    let shown = all, page = 0;
    const said = element("span", {className: "count"});
    said.setAttribute("role", "status");
    const turn = (by, words) => element("button", {type: "button", textContent: words, onclick: () => { page += by; show(); }});
    const back = turn(-1, "Previous"), on = turn(1, "Next");
    const show = () => {
      const pages = Math.max(1, Math.ceil(shown.length / PAGE));
      page = Math.min(Math.max(page, 0), pages - 1);
      const part = shown.slice(page * PAGE, (page + 1) * PAGE);
      body.replaceChildren(...part);
      const first = page * PAGE + (part.length ? 1 : 0);
      const of = shown.length === all.length ? "" : ` found among ${all.length.toLocaleString("en")}`;
      said.textContent = `Rows ${first.toLocaleString("en")} to ${(page * PAGE + part.length).toLocaleString("en")} of ${shown.length.toLocaleString("en")}${of}`;
      back.disabled = page === 0;
      on.disabled = page === pages - 1;
      back.hidden = on.hidden = pages === 1;
    };
    const sort = (column, head) => {
      const rising = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      const number = head.classList.contains("number");
      const key = (row) => number ? parseFloat(text(row, column).replaceAll(",", "")) : text(row, column);
      const keyed = all.map((row) => [key(row), row]);
      const empty = (value) => value === "" || Number.isNaN(value);
      const compare = number ? (a, b) => a - b : new Intl.Collator("en", {numeric: true}).compare;
      keyed.sort(([a], [b]) => empty(a) || empty(b) ? empty(a) - empty(b) : rising ? compare(a, b) : compare(b, a));
      all.splice(0, all.length, ...keyed.map(([, row]) => row));
      filter();
    };
    const wanted = element("input", {type: "search", oninput: () => filter()});
    const lower = new Map();
    const words = (row) => lower.get(row) ?? (lower.set(row, row.textContent.toLowerCase()), lower.get(row));
    const filter = () => {
      const each = wanted.value.toLowerCase().split(/\s+/).filter(Boolean);
      shown = each.length ? all.filter((row) => each.every((word) => words(row).includes(word))) : all;
      page = 0;
      show();
    };
    heads.forEach((head, column) => {
      const button = element("button", {type: "button", className: "sort", onclick: () => sort(column, head)}, ...head.childNodes);
      head.append(button);
    });
    if (all.length < LONG) return;
    const tools = element("div", {className: "tools"}, element("label", {}, "Only rows with ", wanted), said, back, on);
    (table.closest(".scroll") || table).before(tools);
    show();
  };
  // All of them now: a closed part has no layout yet, so that taking its rows out costs nothing.
  document.querySelectorAll("table.long").forEach(equip);
  // A link to something inside a closed part opens it.
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let each = target; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();
})();
