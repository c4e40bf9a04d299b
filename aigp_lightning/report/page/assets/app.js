// Put the page together: the run's tabs, then the sections in reading order.

function buildTabs() {
  const tabs = byId("tabs");
  tabs.hidden = !several;
  document.querySelectorAll(".card").forEach((card) => card.style.setProperty("--run", runColour(Number(card.dataset.run))));
  if (!several) return;
  tabs.append(...runs.map((run, index) => el("button", {
    type: "button", role: "tab", "data-run": index, "aria-selected": String(index === 0), "aria-controls": "main",
    tabindex: index ? -1 : 0, click: () => chooseRun(index),
  }, swatch(index), run.name)));
  tabs.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    chooseRun((state.run + step + runs.length) % runs.length);
    tabs.children[state.run].focus();
  });
}

function start() {
  buildTabs();
  if (payload.comparison && several) addSection("comparison", "Side by side", buildComparison, { ofRun: false });
  addSection("mosaics", "Mosaics", buildMosaics);
  addSection("curves", "Curves", buildCurves, { ofRun: false });
  addSection("pictures", "Pictures", buildPictures);
  addSection("thresholds", "Precision and recall", buildThresholds, { ofRun: false });
  addSection("confusion", "Confusion", buildConfusion);
  addSection("classes", "Classes", buildClasses);
  if (runs.some((run) => run.task === "pose" || run.corners)) addSection("corners", "Corners", buildCorners, { ofRun: false });
  addSection("gallery", "Closing pictures", buildGallery);
  addSection("config", "Configuration", buildConfig);
  addSection("ledger", "What was sent where", buildLedger);
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

start();
