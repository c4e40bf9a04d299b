// Boxes and keypoints over a picture, and one picture large with the list of its objects.

// Drawn in pixels of the original picture; the one below may be smaller.
function overlay(item, objects, named = null) {
  const order = { fn: 0, fp: 1, tp: 2 };
  const shapes = [...objects].sort((one, other) => order[other.kind] - order[one.kind]).map((object) => shapeOf(item, object));
  const texts = named ? objects.map((object) => textAt(item, object, named(object))) : [];
  return svg("svg", { viewBox: `0 0 ${item.width} ${item.height}`, preserveAspectRatio: "none", "aria-hidden": "true" }, shapes, texts);
}

function textAt(item, { kind, box: [x1, y1] }, text) {
  const size = Math.max(10, item.width / 55);
  const above = y1 > size * 1.3;
  return svg("g", { class: kind }, svg("text", { x: Math.max(0, x1), y: above ? y1 - size * 0.3 : y1 + size, "font-size": size }, text));
}

function shapeOf(item, object) {
  const [x1, y1, x2, y2] = object.box;
  const points = object.points || [];
  const there = (point) => point && point[2] > 0;
  const group = svg("g", { class: object.kind },
    svg("rect", { class: "under", x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1) }),
    svg("rect", { x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1) }),
    (item.edges || []).filter(([one, other]) => there(points[one]) && there(points[other])).map(([one, other]) =>
      svg("line", { x1: points[one][0], y1: points[one][1], x2: points[other][0], y2: points[other][1] })),
    points.filter(there).map(([x, y]) => svg("circle", { cx: x, cy: y, r: Math.max(2, item.width / 250) })));
  object.shape = group;
  return group;
}

function openPicture(pictures, index) {
  const item = pictures.data.items[index];
  const objects = judge(item, pictures.filter.conf, pictures.keep());
  const place = pictures.order.indexOf(index);
  const beside = (step) => {
    const other = pictures.order[place + step];
    return place < 0 || other === undefined ? null : () => pictures.open(other);
  };
  const frame = new Frame(item.file);
  if (item.picture !== null) frame.show(item.picture);
  const named = (object) => `${pictures.name(object.label)}${object.score === null ? "" : ` ${object.score.toFixed(2)}`}`;
  const canvas = el("div", { class: "canvas", style: `aspect-ratio:${item.width}/${item.height};--ratio:${item.width / item.height}` },
    item.picture === null ? el("span", { class: "absent" }, "picture not included") : frame.image, overlay(item, objects, named));
  const title = `${item.file}${item.masked ? " (not shown)" : ""}`;
  openLarge(title, [canvas, objectTable(pictures, item, objects)], { previous: beside(-1), next: beside(1) });
}

function objectTable(pictures, item, objects) {
  const size = ({ box: [x1, y1, x2, y2] }) => `${Math.round(x2 - x1)} × ${Math.round(y2 - y1)}`;
  const columns = [
    { title: "", value: (object) => KINDS[object.kind], node: (object) => el("span", { class: object.kind }, KINDS[object.kind]) },
    { title: "class", value: (object) => pictures.name(object.label) },
    { title: "confidence", value: (object) => object.score, text: (object) => (object.score === null ? "" : object.score.toFixed(3)), numeric: true },
    { title: "size (px)", value: (object) => areaOf(object.box), text: size, numeric: true },
  ];
  if (pictures.limits) columns.push({ title: "distance (m)", value: (object) => object.distance, text: (object) => (typeof object.distance === "number" ? object.distance.toFixed(1) : "–"), numeric: true });
  if (!objects.length) return sentence("Nothing was found here, and nothing is labelled, at this confidence and with this filter.");
  const light = (object, on) => () => object.shape.classList.toggle("lit", on);
  const rowAttributes = (object) => ({ tabindex: 0, mouseenter: light(object, true), mouseleave: light(object, false),
    focus: light(object, true), blur: light(object, false) });
  return table(columns, objects, { caption: `Objects of ${item.file}`, rowAttributes });
}
