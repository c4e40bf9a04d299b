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

function countOf(objects) {
  const count = { tp: 0, fp: 0, fn: 0 };
  for (const object of objects) count[object.kind]++;
  return count;
}

const f1Of = ({ tp, fp, fn }) => divided(2 * tp, 2 * tp + fp + fn);

class Pictures {
  constructor(body, run) {
    this.run = run;
    this.data = run.pictures;
    this.limits = this.distanceLimits();
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

  // Counts of all pictures, and the boxes of those on the page; their order stays while the slider is held.
  recount() {
    const { label, size, band, errors, text, conf } = this.filter;
    const narrowed = label !== "" || size !== "" || band !== "";
    const keep = this.keep();
    const total = { tp: 0, fp: 0, fn: 0 };
    let pictures = 0;
    this.counts = this.data.items.map((item) => {
      const count = countOf(judge(item, conf, keep));
      const some = count.tp + count.fp + count.fn;
      count.shown = (!text || item.file.toLowerCase().includes(text)) && (!errors || count.fp + count.fn > 0) && (!narrowed || some > 0);
      if (count.shown) {
        pictures++;
        for (const kind of Object.keys(total)) total[kind] += count[kind];
      }
      return count;
    });
    this.drawTotals(total, pictures);
    for (const card of this.grid.children) this.drawCard(card);
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
    this.recount();
    const indexes = this.data.items.map((_, index) => index).filter((index) => this.counts[index].shown);
    const file = (index) => this.data.items[index].file;
    const byName = (one, other) => file(one).localeCompare(file(other), "en", { numeric: true });
    const errors = (index) => this.counts[index].fp + this.counts[index].fn;
    const worst = (one, other) => errors(other) - errors(one)
      || (f1Of(this.counts[one]) ?? 1) - (f1Of(this.counts[other]) ?? 1) || byName(one, other);
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
        el("span", { class: "name" }, item.file, item.masked ? el("em", {}, " masked") : null), el("span", { class: "counts" })));
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
