// Validation pictures with what was found, what was missed and false alarms, at a confidence that the reader moves.

const AT_ONCE = 60;
const SIZES = [["small", "small (under 32² px)", 0, 32 ** 2], ["medium", "medium (32² to 96² px)", 32 ** 2, 96 ** 2], ["large", "large (over 96² px)", 96 ** 2, Infinity]];
const DEFAULT_LIMITS = [5, 10, 20];
const KINDS = { tp: "found", fp: "false alarm", fn: "missed" };
const [LABEL, SCORE, MATCH] = [0, 1, 6];

const areaOf = ([x1, y1, x2, y2]) => Math.max(0, x2 - x1) * Math.max(0, y2 - y1);
const divided = (one, other) => (other ? one / other : null);

// Objects of a picture at a confidence: `kind` tp, fp or fn; a detection counts from the confidence on, and is right
// where it covers a labelled object. `keep(label, area, distance)` is the filter: what was found has the size and the
// distance of the labelled object, and a false alarm has no distance.
function judge(item, conf, keep) {
  const objects = [];
  const seen = new Set();
  for (let index = 0; index < item.found.length; index++) {
    const found = item.found[index];
    if (found[SCORE] < conf) continue;
    const truth = found[MATCH] >= 0 ? item.true[found[MATCH]] : null;
    if (truth) seen.add(found[MATCH]);
    const box = found.slice(2, 6);
    const distance = truth ? truth[5] : null;
    if (!keep(found[LABEL], areaOf(truth ? truth.slice(1, 5) : box), distance)) continue;
    objects.push({ kind: truth ? "tp" : "fp", label: found[LABEL], score: found[SCORE], box, distance, points: item.found_points?.[index] });
  }
  item.true.forEach((truth, index) => {
    const box = truth.slice(1, 5);
    if (seen.has(index) || !keep(truth[0], areaOf(box), truth[5])) return;
    objects.push({ kind: "fn", label: truth[0], score: null, box, distance: truth[5], points: item.true_points?.[index] });
  });
  return objects;
}

// The same as counts alone, of all pictures at once: a labelled object is found from the confidence on that the
// detection has which covers it. Numbers lie flat, so that 5,000 pictures are counted within a frame.
class Tally {
  constructor(items) {
    this.pictures = items.length;
    const size = items.reduce((sum, item) => sum + item.found.length + item.true.length, 0);
    const column = () => new Float64Array(size);
    Object.assign(this, { picture: new Uint32Array(size), score: column(), label: column(), area: column(), distance: column(),
      kind: new Uint8Array(size), kept: new Uint8Array(size).fill(1) });
    let row = 0;
    const add = (picture, kind, score, label, area, distance) => {
      this.picture[row] = picture;
      this.kind[row] = kind;
      this.score[row] = score;
      this.label[row] = label;
      this.area[row] = area;
      this.distance[row++] = typeof distance === "number" ? distance : NaN;
    };
    items.forEach((item, picture) => {
      const surest = new Map();
      for (const found of item.found) {
        const truth = found[MATCH] >= 0 ? item.true[found[MATCH]] : null;
        if (truth) surest.set(found[MATCH], Math.max(found[SCORE], surest.get(found[MATCH]) ?? -1));
        add(picture, truth ? 0 : 1, found[SCORE], found[LABEL], areaOf(truth ? truth.slice(1, 5) : found.slice(2, 6)), truth?.[5]);
      }
      item.true.forEach((truth, index) => add(picture, 2, surest.get(index) ?? -1, truth[0], areaOf(truth.slice(1, 5)), truth[5]));
    });
  }

  filter(keep) {
    for (let row = 0; row < this.kept.length; row++) this.kept[row] = keep(this.label[row], this.area[row], this.distance[row]) ? 1 : 0;
  }

  // Counts of tp, fp and fn, three for each picture.
  count(conf) {
    const counts = new Uint32Array(3 * this.pictures);
    for (let row = 0; row < this.kept.length; row++) {
      const kind = this.kind[row];
      if (this.kept[row] && (kind === 2 ? this.score[row] < conf : this.score[row] >= conf)) counts[3 * this.picture[row] + kind]++;
    }
    return counts;
  }
}

const f1Of = ({ tp, fp, fn }) => divided(2 * tp, 2 * tp + fp + fn);

function rankOf(names) {
  const { compare } = new Intl.Collator("en", { numeric: true });
  const rank = new Uint32Array(names.length);
  names.map((_, index) => index).sort((one, other) => compare(names[one], names[other])).forEach((index, place) => { rank[index] = place; });
  return rank;
}

class Pictures {
  constructor(body, run) {
    this.run = run;
    this.data = run.pictures;
    this.limits = this.distanceLimits();
    this.tally = new Tally(this.data.items);
    this.rank = rankOf(this.data.items.map((item) => item.file));
    this.filter = { conf: this.data.conf, label: "", size: "", band: "", errors: false, order: "worst", text: "" };
    this.limit = AT_ONCE;
    this.order = [];
    this.grid = el("div", { class: "pictures", role: "list", "aria-label": "Pictures" });
    this.totals = el("dl", { class: "figures totals", "aria-live": "polite" });
    this.more = el("button", { type: "button", class: "more", click: () => { this.limit += AT_ONCE; this.draw(); } });
    this.none = sentence("No picture passes the filter.");
    body.append(this.controls(), this.legend(), this.totals, this.grid, this.none, this.more);
    if (this.data.scale_note) body.append(sentence(this.data.scale_note));
    this.update();
  }

  name(label) {
    return this.data.names[label] ?? String(label);
  }

  distanceLimits() {
    const known = this.data.items.some((item) => item.true.some((truth) => typeof truth[5] === "number"));
    if (!known) return null;
    return this.run.corners?.limits?.length ? this.run.corners.limits : DEFAULT_LIMITS;
  }

  controls() {
    const change = (key) => (value) => {
      this.filter[key] = value;
      this.limit = AT_ONCE;
      this.update();
    };
    this.confText = el("output", {}, this.filter.conf.toFixed(2));
    const recount = onceAFrame(() => this.recount());
    this.slider = el("input", { type: "range", id: "conf", min: 0, max: 1, step: 0.01, value: this.filter.conf, "aria-label": "Confidence",
      input: (event) => {
        this.filter.conf = Number(event.target.value);
        this.confText.textContent = this.filter.conf.toFixed(2);
        recount();
      },
      change: () => this.update() });
    const classes = Object.entries(this.data.names).map(([label, name]) => [label, name]);
    return el("div", { class: "controls sticky" },
      el("label", { class: "conf" }, "Confidence ", this.slider, this.confText),
      select("Class", [["", "all"], ...classes], change("label")),
      select("Size", [["", "all"], ...SIZES.map(([key, text]) => [key, text])], change("size")),
      this.limits ? select("Distance", [["", "all"], ...this.bands().map(({ text }, index) => [String(index), text])], change("band")) : null,
      select("Order", [["worst", "worst first"], ["name", "by name"]], change("order")),
      el("label", {}, el("input", { type: "checkbox", id: "only-errors", change: (event) => change("errors")(event.target.checked) }), " only with errors"),
      el("input", { type: "search", placeholder: "File name", "aria-label": "File name", input: (event) => change("text")(event.target.value.toLowerCase()) }));
  }

  bands() {
    const edges = [0, ...this.limits, Infinity];
    return edges.slice(0, -1).map((low, index) => ({ low, high: edges[index + 1],
      text: edges[index + 1] === Infinity ? `over ${low} m` : `${low}–${edges[index + 1]} m` }));
  }

  legend() {
    return el("p", { class: "legend" }, Object.entries(KINDS).map(([kind, text]) => el("span", { class: kind }, text)),
      el("span", { class: "quiet" }, "A detection is right where it covers an object of its class by at least half (IoU 0.5)."));
  }

  keep() {
    const { label, size, band } = this.filter;
    const [, , smallest, largest] = SIZES.find(([key]) => key === size) || [null, null, 0, Infinity];
    const reach = band === "" ? null : this.bands()[Number(band)];
    return (own, area, distance) => (label === "" || own === Number(label))
      && (size === "" || (area >= smallest && area < largest))
      && (!reach || (typeof distance === "number" && distance >= reach.low && distance < reach.high));
  }

  // Counts of all pictures, and the boxes of those on the screen; their order stays while the slider is held.
  recount() {
    const { label, size, band, errors, text, conf } = this.filter;
    const narrowed = label !== "" || size !== "" || band !== "";
    const counts = this.tally.count(conf);
    const total = { tp: 0, fp: 0, fn: 0 };
    let pictures = 0;
    this.counts = this.data.items.map((item, index) => {
      const [tp, fp, fn] = counts.subarray(3 * index, 3 * index + 3);
      const shown = (!text || item.file.toLowerCase().includes(text)) && (!errors || fp + fn > 0) && (!narrowed || tp + fp + fn > 0);
      if (shown) {
        pictures++;
        total.tp += tp;
        total.fp += fp;
        total.fn += fn;
      }
      return { tp, fp, fn, shown };
    });
    this.drawTotals(total, pictures);
    for (const card of [...this.grid.children].filter(onScreen)) this.drawCard(card);
  }

  drawTotals(total, pictures) {
    const { tp, fp, fn } = total;
    const figures = [["pictures", pictures, "pictures"], ["found (TP)", tp, "tp"], ["false alarms (FP)", fp, "fp"], ["missed (FN)", fn, "fn"],
      ["precision", divided(tp, tp + fp), "precision"], ["recall", divided(tp, tp + fn), "recall"], ["F1", f1Of(total), "f1"]];
    this.totals.replaceChildren(...figures.map(([name, value, key]) =>
      el("div", {}, el("dt", {}, name), el("dd", { "data-count": key }, number(value, 3)))));
    if (this.filter.band !== "") this.totals.append(el("div", { class: "quiet" }, "False alarms have no distance and are left out."));
  }

  update() {
    this.tally.filter(this.keep());
    this.recount();
    const indexes = this.data.items.map((_, index) => index).filter((index) => this.counts[index].shown);
    const byName = (one, other) => this.rank[one] - this.rank[other];
    const errors = (index) => this.counts[index].fp + this.counts[index].fn;
    const f1 = this.counts.map((count) => f1Of(count) ?? 1);
    const worst = (one, other) => errors(other) - errors(one) || f1[one] - f1[other] || byName(one, other);
    this.order = indexes.sort(this.filter.order === "name" ? byName : worst);
    this.draw();
  }

  draw() {
    const cards = new Map([...this.grid.children].map((card) => [Number(card.dataset.item), card]));
    this.grid.replaceChildren(...this.order.slice(0, this.limit).map((index) => cards.get(index) || this.card(index)));
    for (const card of this.grid.children) this.drawCard(card);
    this.none.hidden = this.order.length > 0;
    this.more.hidden = this.order.length <= this.limit;
    this.more.textContent = `Show more (${number(this.order.length - this.limit)} left)`;
  }

  card(index) {
    const item = this.data.items[index];
    const open = () => this.open(index);
    const canvas = el("span", { class: "canvas", style: `aspect-ratio:${item.width}/${item.height}` },
      item.picture === null ? el("span", { class: "absent" }, "picture not included") : lazyPicture(item.picture, ""));
    return el("div", { role: "listitem", class: "picture", "data-item": index },
      el("button", { type: "button", click: open, title: item.file }, canvas,
        el("span", { class: "name" }, item.file, item.masked ? el("em", {}, " not shown") : null), el("span", { class: "counts" })));
  }

  drawCard(card) {
    const item = this.data.items[Number(card.dataset.item)];
    const { tp, fp, fn } = this.counts[Number(card.dataset.item)];
    card.querySelector(".counts").textContent = `TP ${tp} · FP ${fp} · FN ${fn}`;
    card.querySelector("button").setAttribute("aria-label", `${item.file}: ${tp} found, ${fp} false alarms, ${fn} missed`);
    card.querySelector("svg")?.remove();
    card.querySelector(".canvas").append(overlay(item, judge(item, this.filter.conf, this.keep())));
  }

  open(index) {
    openPicture(this, index);
  }
}

function buildPictures(body, run) {
  state.pictures = null;
  if (!run.pictures?.items?.length) {
    body.append(sentence("No results picture by picture: the run folder holds no image_results.npz of its best epoch."));
    return;
  }
  state.pictures = new Pictures(body, run);
}
