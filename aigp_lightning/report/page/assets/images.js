// Pictures: base64 in the page becomes a blob when it is shown; the last ones stay decoded.

const KEPT_PICTURES = 160;
const kept = new Map();

function blobOf(id) {
  const source = byId(`p-${id}`);
  if (!source) return null;
  return new Blob([decoded(source.textContent)], { type: source.dataset.mime });
}

function decoded(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const data = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) data[index] = text.charCodeAt(index);
  return data;
}

// The page draws itself while the browser still reads the pictures at its end.
const allRead = new Promise((done) => {
  if (document.readyState !== "loading") done();
  else document.addEventListener("DOMContentLoaded", () => done());
});

// An entry of the store: `image`, once decoded; null where there is no such picture.
function pictureOf(id) {
  if (!kept.has(id)) kept.set(id, load(id));
  const entry = kept.get(id);
  kept.delete(id);
  kept.set(id, entry);
  forget();
  return entry;
}

async function load(id) {
  if (!byId(`p-${id}`)) await allRead;
  const blob = blobOf(id);
  if (!blob) return null;
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  try {
    await image.decode();
  } catch {
    return null;
  }
  return image;
}

function forget() {
  for (const [id, entry] of kept) {
    if (kept.size <= KEPT_PICTURES) return;
    kept.delete(id);
    entry.then((image) => image && setTimeout(() => {
      if (!kept.has(id) && !inUse(image.src)) URL.revokeObjectURL(image.src);
    }, 1000));
  }
}

const inUse = (address) => [...document.images].some((image) => image.src === address);

// A place that shows one picture. While one is decoded the newest wish waits, so that fast scrubbing shows pictures
// all along, instead of none until it ends.
class Frame {
  constructor(alt, classes = "") {
    this.image = el("img", { alt, class: classes, draggable: "false", decoding: "sync" });
    this.shown = null;
    this.wanted = null;
    this.busy = null;
  }

  show(id) {
    this.wanted = id;
    if (!this.busy) this.busy = this.work().finally(() => { this.busy = null; });
    return this.busy;
  }

  async work() {
    while (this.wanted !== this.shown) {
      const id = this.wanted;
      const image = id === null ? null : await pictureOf(id);
      this.image.hidden = !image;
      if (image) {
        this.image.src = image.src;
        this.image.dataset.picture = id;
      }
      this.shown = id;
    }
  }
}

// A picture that is decoded when it comes near the screen.
function lazyPicture(id, alt) {
  const frame = new Frame(alt);
  whenInView(frame.image, () => frame.show(id));
  return frame.image;
}

// A button that shows a picture large.
function enlargeable(image, title) {
  return el("button", { type: "button", class: "enlarge", "aria-label": `Enlarge ${title}`, click: () => {
    if (image.src) openLarge(title, [el("img", { src: image.src, alt: title })]);
  } }, image);
}

function openLarge(title, content, { previous = null, next = null } = {}) {
  const dialog = byId("large");
  const step = (call, name, label) => call && el("button", { type: "button", "aria-label": label, click: call }, name);
  dialog.replaceChildren(
    el("div", { class: "bar" },
      el("h2", { id: "large-title" }, title),
      step(previous, "←", "Previous picture"),
      step(next, "→", "Next picture"),
      el("button", { type: "button", "aria-label": "Close", class: "close", click: () => dialog.close() }, "✕")),
    el("div", { class: "content" }, content));
  dialog.onkeydown = (event) => {
    const call = { ArrowLeft: previous, ArrowRight: next }[event.key];
    if (!call) return;
    event.preventDefault();
    call();
  };
  if (!dialog.open) dialog.showModal();
  dialog.querySelector(".close").focus();
}
