// Runs beside one another, and the parts of one run that are tables and texts.

const isLowerBetter = (name) => /loss|error|time|latency|_ms|_px|_deg/i.test(name);

function bestOf(name, values) {
  const known = values.map(rounded).filter((value) => value !== null);
  if (known.length < 2 || Math.min(...known) === Math.max(...known)) return null;
  return isLowerBetter(name) ? Math.min(...known) : Math.max(...known);
}

const runColumn = (make) => runs.map((run, index) => ({ title: run.name, numeric: true, ...make(index) }));

function difference(one, other) {
  if (typeof one !== "number" || typeof other !== "number") return null;
  return one - other;
}

const rounded = (value) => (typeof value === "number" ? Number(value.toFixed(4)) : null);
const signed = (value) => (value === null ? "" : `${rounded(value) > 0 ? "+" : rounded(value) < 0 ? "−" : "±"}${Math.abs(value).toFixed(4)}`);

function buildComparison(body) {
  const { metrics, classes, options } = payload.comparison;
  body.append(el("p", { class: "quiet" }, `Differences are from the first run, ${runs[0].name}. The best value of a row is marked.`));
  body.append(el("h3", {}, "Metrics of the best epoch"), metrics.length ? metricTable(metrics) : sentence("No metrics: no run has a finished validation."));
  body.append(el("h3", {}, "By class"), classes.length ? classDifferences(classes) : sentence("No tables by class to compare."));
  body.append(el("h3", {}, "Options that differ"), options.length ? optionTable(options) : sentence("All options are the same."));
}

function metricTable(metrics) {
  return table([
    { title: "metric", value: (row) => row.metric, text: (row) => row.metric.replace("metrics/", "") },
    ...runColumn((index) => ({ value: (row) => row.values[index], node: (row) => marked(row.metric, row.values, index) })),
  ], metrics, { caption: "Metrics side by side" });
}

function marked(name, values, index) {
  const value = values[index];
  const change = index ? el("small", { class: "quiet" }, ` ${signed(difference(value, values[0]))}`) : null;
  if (value === null || value === undefined || rounded(value) !== bestOf(name, values)) return el("span", {}, number(value), change);
  return el("span", {}, el("strong", { class: "best-value", title: "best" }, `★ ${number(value)}`), change);
}

function classDifferences(classes) {
  const figure = (row, index, key) => row.values[index]?.[key] ?? null;
  const keys = ["mAP50", "mAP50-95"];
  return table([
    { title: "class", value: (row) => row.class },
    ...keys.flatMap((key) => runColumn((index) => ({
      title: `${key} ${runs[index].name}`,
      value: (row) => figure(row, index, key),
      node: (row) => marked(key, runs.map((_, each) => figure(row, each, key)), index),
    }))),
  ], classes, { caption: "Classes side by side" });
}

function optionTable(options) {
  return table([
    { title: "option", value: (row) => row.option, node: (row) => el("code", {}, row.option) },
    ...runColumn((index) => ({ numeric: false, value: (row) => shown(row.values[index]), node: (row) => el("code", {}, shown(row.values[index])) })),
  ], options, { caption: "Options that differ", filter: options.length > 8 ? "Filter the options" : null });
}

function buildClasses(body, run) {
  if (!run.classes?.length) {
    body.append(sentence("No table by class: the run has no results image by image of its best epoch."));
    return;
  }
  body.append(table(columnsOf(run.classes, ["class"]), run.classes, { caption: "Results by class" }));
}

function buildGallery(body, run) {
  const all = [...(run.closing || []), ...(run.training || [])];
  if (!all.length) {
    body.append(sentence("The run folder holds no closing pictures and no training mosaics."));
    return;
  }
  body.append(el("div", { class: "gallery" }, all.map(({ key, picture }) =>
    el("figure", {}, enlargeable(lazyPicture(picture, key), key), el("figcaption", {}, key)))));
}

function buildConfig(body, run) {
  if (!run.config) {
    body.append(sentence("The run folder holds no config.yaml."));
    return;
  }
  const lines = run.config.split("\n");
  const text = el("pre", { tabindex: 0, "aria-label": "Configuration" }, run.config);
  const copied = el("span", { class: "quiet", role: "status" });
  const filter = (event) => {
    const words = event.target.value.toLowerCase();
    text.textContent = words ? lines.filter((line) => line.toLowerCase().includes(words)).join("\n") || "No line has this." : run.config;
  };
  body.append(el("details", { open: lines.length < 40 }, el("summary", {}, `config.yaml, ${number(lines.length)} lines`),
    el("div", { class: "controls" },
      el("input", { type: "search", placeholder: "Filter the lines", "aria-label": "Filter the lines", input: filter }),
      el("button", { type: "button", click: async () => { copied.textContent = (await copyText(run.config)) ? "Copied." : "Your browser refused."; } }, "Copy"), copied),
    text));
}

// Browsers give pages that were opened from disk the clipboard, or only the older way to it.
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el("textarea", { class: "hidden" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

const LEDGER = ["time", "epoch", "key", "destination", "outcome", "bytes", "sha256", "reason"];

function buildLedger(body, run) {
  for (const channel of run.side_channels || []) body.append(el("p", { class: "note" }, channel));
  if (!run.ledger) {
    body.append(sentence("The run folder holds no ledger, so this report cannot say what was sent where."));
    return;
  }
  const { head, lines, problems, destinations, rows } = run.ledger;
  for (const problem of problems) body.append(el("p", { class: "warning" }, problem));
  body.append(el("p", {}, `${number(lines)} lines; head `, el("code", { class: "hash" }, head)));
  const text = (title, value) => ({ title, value });
  const count = (title) => ({ title, value: (row) => row[title], numeric: true });
  body.append(destinations.length ? table([
    text("destination", (row) => row.destination),
    { title: "where", value: (row) => (row.remote ? "another machine" : "this machine"), node: (row) =>
      el("span", { class: row.remote ? "remote" : "" }, row.remote ? "another machine" : "this machine") },
    count("sent"), count("withheld"), count("failed"), count("unknown"),
    { title: "bytes", value: (row) => row.bytes, text: (row) => bytes(row.bytes), numeric: true },
  ], destinations, { caption: "What was sent where, in total" }) : sentence("Nothing was handed to any destination."));
  if (!rows.length) return;
  const columns = LEDGER.map((title, index) => ({ title, value: (row) => row[index], numeric: title === "epoch" || title === "bytes" }));
  columns[0].text = (row) => String(row[0] ?? "–").replace("T", " ");
  columns[6].node = (row) => el("code", { title: row[6] || null }, row[6] ? String(row[6]).slice(0, 12) : "–");
  body.append(el("details", {}, el("summary", {}, `All ${number(rows.length)} rows`),
    table(columns, rows, { caption: "Rows of the ledger", filter: "Filter the rows" })));
}
