// State, elements, numbers, and sections that are built when they come into view.
// Text of the payload (class names, files, configuration) is untrusted: it becomes text nodes, and never markup.

const payload = JSON.parse(document.getElementById("payload").textContent);
const runs = payload.runs || [];
const state = { run: 0, mosaics: null, pictures: null };
const RUN_COLOURS = ["#2381c4", "#dd6413", "#0fa37a", "#cc79a7", "#d39a00", "#56b4e9", "#8c6bb1", "#7f7f7f"];

const byId = (id) => document.getElementById(id);
const several = runs.length > 1;
const currentRun = () => runs[state.run];
const runColour = (index) => RUN_COLOURS[index % RUN_COLOURS.length];

// An element with attributes (functions are listeners, `true` a bare attribute, null none) and children.
function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const sentence = (text) => el("p", { class: "quiet missing" }, text);

function number(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return Math.abs(value) >= 1000 ? value.toFixed(1) : Math.abs(value) < 1e-3 ? value.toPrecision(3) : value.toFixed(digits);
}

function bytes(count) {
  if (!count) return "0 B";
  const power = Math.min(3, Math.floor(Math.log10(count) / 3));
  return `${power ? (count / 1000 ** power).toFixed(1) : count} ${["B", "kB", "MB", "GB"][power]}`;
}

const shown = (value) =>
  value === undefined ? "not set" : value !== null && typeof value === "object" ? JSON.stringify(value) : String(value);

// Tell a screen reader.
function say(text) {
  byId("said").textContent = text;
}

// The last of many calls, once a frame.
function onceAFrame(call) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      call();
    });
  };
}

// Call once when an element is near the screen, or when the page is printed.
const waitingForView = new Map();
const viewObserver = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => reveal(entry.target)),
  { rootMargin: "400px" },
);

function whenInView(element, call) {
  waitingForView.set(element, call);
  viewObserver.observe(element);
}

function reveal(element) {
  const call = waitingForView.get(element);
  waitingForView.delete(element);
  viewObserver.unobserve(element);
  if (call && element.isConnected) call();
}

// What is built may hold more that waits.
window.addEventListener("beforeprint", () => {
  while (waitingForView.size) [...waitingForView.keys()].forEach(reveal);
});

// Sections: `build(body, run)` fills the body; those of one run are built again when another run is chosen.
const sections = [];

function addSection(id, title, build, { ofRun = true } = {}) {
  const body = el("div", { class: "body" });
  const name = el("span", { class: "of-run" });
  const section = el("section", { id, "aria-labelledby": `${id}-title` }, el("h2", { id: `${id}-title` }, title, name), body);
  byId("main").append(section);
  byId("links").append(el("a", { href: `#${id}` }, title));
  const entry = { section, body, ofRun, name, build };
  sections.push(entry);
  renew(entry);
}

function renew(entry) {
  entry.body.style.minHeight = `${entry.body.offsetHeight}px`; // so that the page does not jump
  entry.body.replaceChildren();
  entry.name.textContent = entry.ofRun && several ? ` ${currentRun().name}` : "";
  waitingForView.delete(entry.section);
  whenInView(entry.section, () => {
    entry.body.style.minHeight = "";
    try {
      entry.build(entry.body, currentRun());
    } catch (error) {
      entry.body.replaceChildren(sentence("This part of the report could not be drawn."));
      console.error(error);
    }
  });
}

function chooseRun(index) {
  state.run = index;
  for (const tab of byId("tabs").children) {
    const chosen = Number(tab.dataset.run) === index;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
  }
  sections.filter((entry) => entry.ofRun).forEach(renew);
  say(`Run ${currentRun().name}`);
}
