"use strict";
// All stages show one frame: zoom and place are shared by way of CSS variables of the root.
const root = document.documentElement;
const view = { zoom: 1, x: 0, y: 0 }; // x, y: where the frame's corner lies, in shares of a stage
const LARGEST_ZOOM = 32;

function show() {
  view.zoom = Math.min(Math.max(view.zoom, 1), LARGEST_ZOOM);
  for (const axis of ["x", "y"]) view[axis] = Math.min(0, Math.max(1 - view.zoom, view[axis]));
  for (const [name, value] of Object.entries(view)) root.style.setProperty(`--${name}`, value);
  root.classList.toggle("moving", view.zoom > 1);
  root.classList.toggle("close", view.zoom >= 3);
}

// Zoom by a factor; the point at (x, y), in shares of the stage, stays where it is.
function zoomBy(factor, x = 0.5, y = 0.5) {
  const before = view.zoom;
  view.zoom = Math.min(Math.max(before * factor, 1), LARGEST_ZOOM);
  view.x = x - ((x - view.x) * view.zoom) / before;
  view.y = y - ((y - view.y) * view.zoom) / before;
  show();
}

function moveBy(x, y) {
  view.x += x;
  view.y += y;
  show();
}

function fit() {
  Object.assign(view, { zoom: 1, x: 0, y: 0 });
  show();
}

// Where an event happened, in shares of the stage.
function placeOf(stage, event) {
  const box = stage.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

// ---- Values read off a picture: its colours, looked up in the palette it was painted with.
const palettes = JSON.parse(document.getElementById("palettes").textContent);
const lookups = Object.fromEntries(
  Object.entries(palettes).map(([name, hex]) => [name, new Map(hex.match(/.{6}/g).map((c, i) => [parseInt(c, 16), i]))]),
);
const pixels = new WeakMap();

function pixelsOf(image) {
  if (!pixels.has(image)) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    pixels.set(image, context.getImageData(0, 0, canvas.width, canvas.height));
  }
  return pixels.get(image);
}

// The value under (x, y), in shares of the picture, with its unit.
function valueAt(image, x, y) {
  const { width, height, data } = pixelsOf(image);
  const at = 4 * (Math.floor(y * height) * width + Math.floor(x * width));
  if (data[at + 3] < 128) return "none";
  const lookup = lookups[image.dataset.colours];
  const level = lookup.get((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
  if (level === undefined) return "?";
  const [low, high] = [Number(image.dataset.low), Number(image.dataset.high)];
  const sign = level === 0 ? "≤ " : level === lookup.size - 1 ? "≥ " : "";
  const value = low + ((high - low) * level) / 254;
  return `${sign}${value.toFixed(image.dataset.digits)} ${image.dataset.unit}`.trim();
}

function read(figure, stage, event) {
  const output = figure.querySelector(".reading");
  const painted = [...stage.querySelectorAll("img[data-low]")];
  if (!output || !painted.length) return;
  const [x, y] = placeOf(stage, event);
  const [u, v] = [(x - view.x) / view.zoom, (y - view.y) / view.zoom];
  if (u < 0 || v < 0 || u >= 1 || v >= 1) return;
  const style = getComputedStyle(stage);
  const column = Math.floor(u * style.getPropertyValue("--width"));
  const row = Math.floor(v * style.getPropertyValue("--height"));
  const values = painted.map((image) => valueAt(image, u, v));
  const named = values.length > 1 ? `before ${values[0]}, after ${values[1]}` : values[0];
  output.textContent = `column ${column}, row ${row}: ${named}`;
}

// ---- Hands on a stage: one finger slides or moves, two zoom.
function hold(figure, stage) {
  const touching = new Map();
  let sliding = false;
  const cut = figure.querySelector("[data-cut]");

  function slide(event) {
    cut.value = 100 * placeOf(stage, event)[0];
    cut.dispatchEvent(new Event("input"));
  }

  stage.addEventListener("pointerdown", (event) => {
    touching.set(event.pointerId, event);
    stage.setPointerCapture(event.pointerId);
    sliding = cut && touching.size === 1 && (view.zoom === 1 || event.target.closest(".divider") !== null);
    if (sliding) slide(event);
  });
  stage.addEventListener("pointermove", (event) => {
    read(figure, stage, event);
    const before = touching.get(event.pointerId);
    if (!before) return;
    const other = [...touching.values()].find((touch) => touch.pointerId !== event.pointerId);
    if (other) {
      const apart = (touch) => Math.hypot(touch.clientX - other.clientX, touch.clientY - other.clientY);
      zoomBy(apart(event) / Math.max(apart(before), 1), ...placeOf(stage, other));
    } else if (sliding) {
      slide(event);
    } else {
      const [[x0, y0], [x1, y1]] = [placeOf(stage, before), placeOf(stage, event)];
      moveBy(x1 - x0, y1 - y0);
    }
    touching.set(event.pointerId, event);
  });
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => touching.delete(event.pointerId));
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY / 300), ...placeOf(stage, event));
  }, { passive: false });
  stage.addEventListener("dblclick", (event) => zoomBy(2, ...placeOf(stage, event)));
  stage.addEventListener("keydown", (event) => {
    const keys = {
      "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5), 0: fit,
      ArrowLeft: () => moveBy(0.1, 0), ArrowRight: () => moveBy(-0.1, 0),
      ArrowUp: () => moveBy(0, 0.1), ArrowDown: () => moveBy(0, -0.1),
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  });
}

for (const image of document.querySelectorAll("img[data-copy]")) image.src = document.querySelector(image.dataset.copy).src;
for (const figure of document.querySelectorAll(".viewer")) {
  for (const stage of figure.querySelectorAll(".stage")) hold(figure, stage);
  const set = (selector, type, act) => figure.querySelectorAll(selector).forEach((input) => input.addEventListener(type, () => act(input)));
  set("[data-cut]", "input", (input) => figure.style.setProperty("--cut", input.value));
  set("[data-opacity]", "input", (input) => figure.style.setProperty("--opacity", input.value));
  set("[data-smooth]", "change", (input) => root.classList.toggle("smooth", input.checked));
  set("[name=shown]", "change", (input) => { figure.dataset.shown = input.value; });
  const zooms = { in: () => zoomBy(1.5), out: () => zoomBy(1 / 1.5), fit };
  set("[data-zoom]", "click", (button) => zooms[button.dataset.zoom]());
}
for (const button of document.querySelectorAll("[data-copy-command]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "Copied";
  });
}
show();
