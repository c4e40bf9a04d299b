// Tables: sortable by every column, filtered by a text, shown a part at a time.

const ROWS_AT_ONCE = 200;

// columns: { title, value(row) to sort by, text(row) to show, node(row) instead of text, numeric }.
function table(columns, rows, { caption, filter = null, sort = null, atOnce = ROWS_AT_ONCE, rowAttributes = null } = {}) {
  let order = sort || { column: null, down: false };
  let limit = atOnce;
  let words = "";
  const body = el("tbody");
  const heads = columns.map((column, index) => headCell(column, () => {
    order = { column: index, down: order.column === index ? !order.down : Boolean(column.numeric) };
    draw();
  }));
  const more = el("button", { type: "button", class: "more", click: () => { limit += atOnce * 5; draw(); } });
  const count = el("span", { class: "quiet", "aria-live": "polite" });
  const box = filter && el("input", { type: "search", placeholder: filter, "aria-label": filter, input: (event) => {
    words = event.target.value.toLowerCase();
    limit = atOnce;
    draw();
  } });

  function chosen() {
    const kept = words ? rows.filter((row) => columns.some((column) => textOf(column, row).toLowerCase().includes(words))) : rows;
    return order.column === null ? kept : sorted(kept, columns[order.column].value, order.down);
  }

  function draw() {
    const kept = chosen();
    body.replaceChildren(...kept.slice(0, limit).map((row) => el("tr", rowAttributes ? rowAttributes(row) : {},
      columns.map((column) => el("td", { class: column.numeric ? "numeric" : null },
        column.node ? column.node(row) : textOf(column, row))))));
    heads.forEach((head, index) => head.setAttribute("aria-sort",
      order.column !== index ? "none" : order.down ? "descending" : "ascending"));
    count.textContent = filter ? `${number(kept.length)} of ${number(rows.length)} rows` : "";
    more.hidden = kept.length <= limit;
    more.textContent = `Show more (${number(kept.length - limit)} left)`;
  }

  draw();
  return el("div", { class: "table" },
    filter && el("div", { class: "controls" }, box, count),
    el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
      el("table", {}, el("caption", { class: "hidden" }, caption), el("thead", {}, el("tr", {}, heads)), body)),
    more);
}

function headCell(column, click) {
  return el("th", { scope: "col", class: column.numeric ? "numeric" : null, "aria-sort": "none" },
    el("button", { type: "button", click }, column.title));
}

const textOf = (column, row) => (column.text ? column.text(row) : number(column.value(row)));

// Missing values are last, whichever way.
function sorted(rows, value, down) {
  const missing = (one) => one === null || one === undefined || Number.isNaN(one);
  return [...rows].sort((first, second) => {
    const [one, other] = [value(first), value(second)];
    if (missing(one) || missing(other)) return missing(one) - missing(other);
    const difference = typeof one === "number" && typeof other === "number" ? one - other : String(one).localeCompare(String(other), "en", { numeric: true });
    return down ? -difference : difference;
  });
}

// Columns of rows that are objects: a text for those named, numbers for all others.
function columnsOf(rows, texts, digits = 4) {
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return keys.map((key) => ({
    title: key.replaceAll("_", " "),
    value: (row) => row[key],
    text: (row) => number(row[key], digits),
    numeric: !texts.includes(key),
  }));
}
