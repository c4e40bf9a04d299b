// Charts, by plotly, which starts when the first of them comes into view.

const DASHES = ["solid", "dash", "dot", "dashdot"];
const MEAN = "all classes";
const NAMES_IN_LEGEND = 24;

// Plotly reads some markup in texts: none of the payload's is any.
const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function startPlotly() {
  if (!window.Plotly) {
    document.head.append(el("script", {}, byId("plotly").textContent));
    byId("plotly").textContent = "";
  }
  return window.Plotly;
}

const drawn = new Set();
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// `make()` returns { data, layout } for the colours of the moment.
function chart(title, make, { height = 300, wide = false } = {}) {
  const place = el("div", { class: "plot", style: `height:${height}px`, role: "img", "aria-label": title });
  place.draw = () => {
    const { data, layout = {} } = make();
    startPlotly().react(place, data, themed(layout), { displaylogo: false, responsive: true,
      modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]], plotlyServerURL: "" });
    drawn.add(place);
  };
  whenInView(place, () => queue(place));
  return el("figure", { class: wide ? "chart wide" : "chart" }, el("figcaption", {}, title), place);
}

// Charts are drawn one after another, and only when all of the page is read and painted: it stays quick meanwhile.
const waitingCharts = [];
let drawing = false;

function queue(place) {
  waitingCharts.push(place);
  if (drawing) return;
  drawing = true;
  allRead.then(() => whenIdle(drawNext));
}

const whenIdle = (call) => (window.requestIdleCallback ? requestIdleCallback(call, { timeout: 1000 }) : setTimeout(call, 200));

function drawNext() {
  const place = waitingCharts.shift();
  drawing = Boolean(place);
  if (!drawing) return;
  setTimeout(drawNext);
  if (place.isConnected) place.draw();
}

window.addEventListener("beforeprint", () => waitingCharts.splice(0).forEach((place) => place.draw()));

function themed(layout) {
  const axis = { gridcolor: css("--line"), zerolinecolor: css("--line"), linecolor: css("--line"), automargin: true };
  return {
    margin: { l: 48, r: 12, t: 8, b: 40 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: css("--text"), size: 12, family: "system-ui, sans-serif" },
    legend: { orientation: "h", y: layout.xaxis?.title ? -0.2 : -0.1, yanchor: "top", font: { size: 11 }, maxheight: 1 },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--quiet"), activecolor: css("--accent") },
    hoverlabel: { namelength: -1 },
    hovermode: "closest",
    ...layout,
    xaxis: { ...axis, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
  };
}

function redrawCharts() {
  for (const place of drawn) {
    if (place.isConnected) place.draw();
    else drawn.delete(place);
  }
}

window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawCharts);

function verticalLine(x, colour) {
  return { type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: { color: colour, width: 1.5, dash: "dot" } };
}

// Which series share a chart: losses of one name, box and keypoints of one metric, all learning rates.
function chartOf(name) {
  if (name.startsWith("lr/") || name.startsWith("lr-")) return { group: "Learning rate", title: "Learning rates", part: name.slice(3) };
  const loss = name.match(/^(train|val)\/(.*)$/);
  if (loss) return { group: "Losses", title: loss[2].replaceAll("_", " "), part: loss[1] };
  const metric = name.match(/^metrics\/(.*)\((.)\)$/);
  if (metric) return { group: "Metrics", title: metric[1], part: { B: "boxes", P: "keypoints", M: "masks" }[metric[2]] || metric[2] };
  if (name.startsWith("metrics/")) return { group: "Metrics", title: name.slice(8), part: "" };
  return { group: "Others", title: name, part: "" };
}

function buildCurves(body) {
  const charts = new Map();
  runs.forEach((run, index) => Object.entries(run.scalars?.series || {}).forEach(([name, values]) => {
    if (values.every((value) => value === null)) return;
    const place = chartOf(name);
    const key = `${place.group}\n${place.title}`;
    if (!charts.has(key)) charts.set(key, { ...place, lines: [] });
    charts.get(key).lines.push({ index, part: place.part, epochs: run.scalars.epochs, values });
  }));
  if (!charts.size) {
    body.append(sentence("No scalars were found: neither results.csv nor a logger's local files hold any."));
    return;
  }
  body.append(el("p", { class: "quiet" }, "By epoch. The dotted line is the best epoch; a click on a name hides its line."));
  for (const group of ["Metrics", "Losses", "Learning rate", "Others"]) {
    const own = [...charts.values()].filter((each) => each.group === group);
    if (own.length) body.append(el("h3", {}, group), el("div", { class: "charts" }, own.map(scalarChart)));
  }
}

function scalarChart({ title, lines }) {
  const parts = [...new Set(lines.map((line) => line.part))];
  return chart(title, () => ({
    data: lines.map(({ index, part, epochs, values }) => {
      const place = parts.indexOf(part);
      return {
        x: epochs, y: values, mode: epochs.length > 1 ? "lines" : "markers",
        name: plain([several ? runs[index].name : "", part].filter(Boolean).join(" ") || title),
        line: { color: several ? runColour(index) : RUN_COLOURS[place % RUN_COLOURS.length], width: 2,
          dash: several ? DASHES[place % DASHES.length] : "solid" },
        hovertemplate: "epoch %{x}: %{y:.5~g}",
      };
    }),
    layout: {
      showlegend: lines.length > 1 && lines.length <= NAMES_IN_LEGEND,
      shapes: bestLines(lines),
    },
  }), { height: withLegend(280, lines.length) });
}

// Two names in a row of the legend.
const withLegend = (height, lines) => height + 17 * Math.ceil((lines <= NAMES_IN_LEGEND ? lines : 0) / 2);

function bestLines(lines) {
  const indexes = [...new Set(lines.map((line) => line.index))].filter((index) => runs[index].best_epoch !== null);
  return indexes.map((index) => verticalLine(runs[index].best_epoch, several ? runColour(index) : css("--quiet")));
}

const WHICH = {
  PR: { title: "Precision by recall", x: "recall", y: "precision" },
  F1: { title: "F1 by confidence", x: "confidence", y: "F1" },
  P: { title: "Precision by confidence", x: "confidence", y: "precision" },
  R: { title: "Recall by confidence", x: "confidence", y: "recall" },
};

function meanOf(series) {
  const all = Object.values(series);
  return all[0].map((_, place) => all.reduce((sum, values) => sum + values[place], 0) / all.length);
}

function withMean(series) {
  const names = Object.keys(series);
  return names.length > 1 && !names.includes(MEAN) ? { ...series, [MEAN]: meanOf(series) } : series;
}

function buildThresholds(body) {
  const found = runs.flatMap((run, index) => (run.curves || []).map((curve) => ({ ...curve, index, series: withMean(curve.series) })))
    .filter((curve) => Object.keys(curve.series).length);
  if (!found.length) {
    body.append(sentence("No curves by confidence: the run has no results image by image of its best epoch."));
    return;
  }
  const prefixes = [...new Set(found.map((curve) => curve.prefix))];
  const classes = [...new Set(found.flatMap((curve) => Object.keys(curve.series)))].filter((name) => name !== MEAN);
  const place = el("div");
  const choice = select("Class", [["", several ? `mean of the classes` : "every class"], ...classes.map((name) => [`=${name}`, name])], (value) => draw(value.slice(1)));
  const draw = (name) => place.replaceChildren(...prefixes.flatMap((prefix) => [
    prefixes.length > 1 ? el("h3", {}, ({ Pose: "Keypoints", Mask: "Masks" })[prefix] ?? "Boxes") : null,
    el("div", { class: "charts" }, Object.keys(WHICH).map((which) => {
      const curves = found.filter((curve) => curve.prefix === prefix && curve.which === which);
      return curves.length ? thresholdChart(which, curves, name) : null;
    })),
  ]).filter(Boolean));
  if (classes.length > 1) body.append(el("div", { class: "controls" }, choice));
  body.append(place);
  draw("");
}

function thresholdChart(which, curves, chosen) {
  const { title, x, y } = WHICH[which];
  const lines = curves.flatMap((curve) => {
    const names = Object.keys(curve.series);
    const wanted = chosen ? names.filter((name) => name === chosen) : several ? [names.includes(MEAN) ? MEAN : names[0]] : names;
    return wanted.map((name) => ({ curve, name, place: names.indexOf(name), bold: several || name === MEAN || names.length === 1 }));
  });
  return chart(title, () => ({
    data: lines.map(({ curve, name, place, bold }) => ({
      x: curve.x, y: curve.series[name], mode: "lines", name: plain(several ? `${runs[curve.index].name} ${name}` : name),
      line: { width: bold ? 3 : 1.5, color: several ? runColour(curve.index) : name === MEAN ? css("--text") : RUN_COLOURS[place % RUN_COLOURS.length] },
      hovertemplate: `${x} %{x:.3f}, ${y} %{y:.3f}`,
    })),
    layout: { showlegend: lines.length > 1 && lines.length <= NAMES_IN_LEGEND, xaxis: { range: [0, 1.01] }, yaxis: { range: [0, 1.02] } },
  }), { height: withLegend(280, lines.length) });
}

function buildConfusion(body, run) {
  if (!run.confusion) {
    body.append(sentence("No confusion matrix: the run has no results image by image of its best epoch."));
    return;
  }
  const { names, matrix } = run.confusion;
  let normalised = true;
  const ticks = names.map((name, index) => `${index} ${plain(name)}`);
  const short = names.map((name) => plain(name.length > 18 ? `${name.slice(0, 17)}…` : name));
  const sums = names.map((_, column) => matrix.reduce((sum, row) => sum + row[column], 0));
  const share = matrix.map((row) => row.map((value, column) => (sums[column] ? value / sums[column] : null)));
  const make = () => ({
    data: [{
      type: "heatmap", x: ticks, y: ticks, z: normalised ? share : matrix, customdata: matrix, colorscale: [[0, css("--panel")], [1, css("--accent")]],
      zmin: 0, zmax: normalised ? 1 : undefined, xgap: 1, ygap: 1, showscale: true,
      texttemplate: names.length <= 20 ? (normalised ? "%{z:.2f}" : "%{z}") : "",
      hovertemplate: "labelled %{x}<br>predicted %{y}<br>%{customdata} objects<extra></extra>",
    }],
    layout: {
      xaxis: { title: { text: "labelled" }, tickvals: ticks, ticktext: short, type: "category" },
      yaxis: { title: { text: "predicted" }, tickvals: ticks, ticktext: short, type: "category", autorange: "reversed" },
    },
  });
  const figure = chart("Confusion matrix", make, { height: Math.max(380, Math.min(900, 120 + 36 * names.length)), wide: true });
  const toggle = (event) => {
    normalised = event.target.value === "share";
    figure.querySelector(".plot").draw();
  };
  body.append(el("div", { class: "controls" },
    select("Show", [["share", "share of the labelled objects"], ["counts", "counts"]], () => {}, toggle)), figure);
}

function buildCorners(body) {
  const found = runs.map((run, index) => ({ corners: run.corners, index })).filter((each) => each.corners);
  if (!found.length) {
    body.append(sentence(runs.some((run) => run.task === "pose")
      ? "No corner errors: the run has no results image by image of its best epoch."
      : "Corner errors are of keypoint models; this is a detector."));
    return;
  }
  const scattered = found.filter(({ corners }) => corners.distance?.length);
  if (scattered.length) {
    body.append(chart("Corner error by distance", () => ({
      data: scattered.map(({ corners, index }) => ({
        x: corners.distance, y: corners.error, mode: "markers", name: plain(runs[index].name),
        marker: { size: 5, opacity: 0.55, color: runColour(index) }, hovertemplate: "%{x:.1f} m: %{y:.2f} px",
      })),
      layout: {
        showlegend: scattered.length > 1,
        xaxis: { title: { text: "distance (m)" }, rangemode: "tozero" }, yaxis: { title: { text: "error (px)" }, rangemode: "tozero" },
        shapes: (scattered[0].corners.limits || []).map((limit) => verticalLine(limit, css("--line"))),
      },
    }), { height: 380, wide: true }));
  } else {
    const bands = found.some(({ corners }) => corners.bands?.length > 1);
    body.append(sentence(bands ? "No error to show: no gate was found whose distance is known."
      : "No distances: they need the camera and the size of the gate (--model.camera)."));
  }
  for (const { corners, index } of found) {
    if (several) body.append(el("h3", {}, swatch(index), runs[index].name));
    body.append(table(columnsOf(corners.bands, ["band"], 3), corners.bands, { caption: "Corners by distance" }));
  }
}

const swatch = (index) => el("span", { class: "swatch", style: `--run:${runColour(index)}`, "aria-hidden": "true" });

function select(label, options, change, listener = null) {
  return el("label", {}, `${label} `, el("select", { change: listener || ((event) => change(event.target.value)) },
    options.map(([value, text]) => el("option", { value }, text))));
}
