// One slider over epochs for all mosaics of a run.

const PLAY_INTERVAL = 180;
const AHEAD = 4;
const RESTS = 80;

// The latest epoch at or before this one that has a picture.
function pictureAt(pictures, epoch) {
  let best = null;
  for (const key of Object.keys(pictures || {})) {
    const each = Number(key);
    if (each <= epoch && (best === null || each > best)) best = each;
  }
  return best === null ? null : pictures[best];
}

class Mosaics {
  constructor(body, run) {
    this.run = run;
    this.epochs = [...new Set(run.mosaics.flatMap((mosaic) => mosaic.epochs))].sort((one, other) => one - other);
    this.mode = "both";
    this.timer = null;
    this.cells = run.mosaics.map((mosaic) => this.cell(mosaic));
    this.epochText = el("output", { class: "epoch" });
    this.slider = el("input", { type: "range", id: "epoch", min: 0, max: this.epochs.length - 1, step: 1, value: 0,
      "aria-label": "Epoch", input: () => this.moved() });
    this.playButton = el("button", { type: "button", title: "space", click: () => this.play() }, "▶ Play");
    this.modes = this.modeButtons();
    this.grid = el("div", { class: "mosaics both" }, this.cells.map((cell) => cell.figure));
    body.append(
      el("div", { class: "controls sticky" }, this.playButton, this.track(), this.epochText, this.modes),
      el("p", { class: "quiet keys" }, "Keys: ← → epoch, Home and End, space plays, L labels or predictions. A click enlarges."),
      this.grid);
    this.go(this.index(run.best_epoch ?? this.epochs.at(-1)));
  }

  cell(mosaic) {
    const make = (which, name) => {
      const frame = new Frame(`${mosaic.key}: ${name}`);
      const figure = el("div", { class: which }, el("span", { class: "tag" }, name), enlargeable(frame.image, `${mosaic.key}: ${name}`));
      return { frame, figure };
    };
    const paired = !mosaic.key.startsWith("val_errors");
    const [labels, pred] = [make("labels", "labels"), make("pred", paired ? "predictions" : "hits and mistakes")];
    const pictures = paired ? el("div", { class: "pair" }, labels.figure, pred.figure) : el("div", { class: "single" }, pred.figure);
    return { mosaic, labels, pred, figure: el("figure", {}, el("figcaption", {}, mosaic.key), pictures) };
  }

  track() {
    const last = this.epochs.length - 1;
    const best = this.epochs.indexOf(this.run.best_epoch);
    const mark = best < 0 ? null : el("span", { class: "best", style: `--at:${last ? best / last : 0}`,
      title: `Best epoch: ${this.run.best_epoch}` }, "best");
    return el("div", { class: "track" }, this.slider, mark);
  }

  modeButtons() {
    const names = { both: "Side by side", labels: "Labels", pred: "Predictions" };
    return el("div", { class: "modes", role: "group", "aria-label": "Show" }, Object.entries(names).map(([mode, name]) =>
      el("button", { type: "button", "data-mode": mode, "aria-pressed": String(mode === this.mode), click: () => this.setMode(mode) }, name)));
  }

  setMode(mode) {
    this.mode = mode;
    this.grid.className = `mosaics ${mode}`;
    for (const button of this.modes.children) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    say(mode === "pred" ? "Predictions" : mode === "labels" ? "Labels" : "Labels and predictions");
  }

  // From side by side to predictions alone, then back and forth.
  switchMode() {
    this.setMode(this.mode === "pred" ? "labels" : "pred");
  }

  index(epoch) {
    const found = this.epochs.findIndex((each) => each >= epoch);
    return found < 0 ? this.epochs.length - 1 : found;
  }

  at() {
    return Number(this.slider.value);
  }

  go(index) {
    this.slider.value = String(Math.max(0, Math.min(this.epochs.length - 1, index)));
    this.moved();
  }

  moved() {
    const index = this.at();
    const epoch = this.epochs[index];
    const best = epoch === this.run.best_epoch;
    this.epochText.textContent = `epoch ${epoch}${best ? " (best)" : ""}`;
    this.slider.setAttribute("aria-valuetext", `epoch ${epoch} of ${this.epochs.at(-1)}${best ? ", the best" : ""}`);
    for (const cell of this.cells) {
      cell.labels.frame.show(pictureAt(cell.mosaic.labels, epoch));
      cell.pred.frame.show(pictureAt(cell.mosaic.pred, epoch));
    }
    this.decodeAhead(index);
  }

  // Neighbours are decoded one after another while the slider rests, those in the direction of its movement first.
  decodeAhead(index) {
    const step = index < (this.last ?? 0) ? -1 : 1;
    this.last = index;
    clearTimeout(this.ahead);
    this.ahead = setTimeout(async () => {
      const mosaics = this.cells.map((cell) => cell.mosaic);
      for (const offset of [...Array(AHEAD).keys()].map((each) => (each + 1) * step).concat(-step)) {
        const epoch = this.epochs[index + offset];
        if (epoch === undefined) continue;
        for (const id of mosaics.flatMap((mosaic) => [pictureAt(mosaic.pred, epoch), pictureAt(mosaic.labels, epoch)])) {
          if (id !== null) await pictureOf(id);
          if (this.at() !== index || !this.slider.isConnected) return;
        }
      }
    }, this.timer ? 0 : RESTS);
  }

  play() {
    if (this.timer) return this.stop();
    if (this.at() === this.epochs.length - 1) this.go(0);
    this.playButton.textContent = "⏸ Pause";
    this.timer = setInterval(() => {
      if (!this.slider.isConnected || this.at() === this.epochs.length - 1) return this.stop();
      if (!this.cells.some((cell) => cell.pred.frame.busy)) this.go(this.at() + 1);
    }, PLAY_INTERVAL);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.playButton.textContent = "▶ Play";
  }

  key(event) {
    const calls = {
      ArrowLeft: () => this.go(this.at() - 1),
      ArrowRight: () => this.go(this.at() + 1),
      Home: () => this.go(0),
      End: () => this.go(this.epochs.length - 1),
      " ": () => this.play(),
      l: () => this.switchMode(),
      L: () => this.switchMode(),
    };
    const call = calls[event.key];
    if (call) event.preventDefault();
    call?.();
  }
}

function buildMosaics(body, run) {
  state.mosaics?.stop();
  state.mosaics = null;
  if (!run.mosaics?.length) {
    body.append(sentence("This run kept no mosaics by epoch: neither a history folder nor a logger's local files hold any."));
    return;
  }
  state.mosaics = new Mosaics(body, run);
}

// Keys work within the section, and wherever no other control has the focus while the mosaics are on the screen.
document.addEventListener("keydown", (event) => {
  const mosaics = state.mosaics;
  if (!mosaics || event.ctrlKey || event.metaKey || event.altKey || byId("large").open) return;
  const target = event.target;
  const section = byId("mosaics");
  const free = target === document.body || target === byId("main");
  if (!section.contains(target) && !(free && onScreen(section))) return;
  if (event.key === " " && target.tagName === "BUTTON") return;
  mosaics.key(event);
});

function onScreen(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return bottom > 0 && top < window.innerHeight;
}
