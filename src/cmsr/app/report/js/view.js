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

// Where an event happened, in shares of the frame; null beside it.
function pointOf(stage, event) {
  const [x, y] = placeOf(stage, event);
  const point = [(x - view.x) / view.zoom, (y - view.y) / view.zoom];
  return point.every((share) => share >= 0 && share < 1) ? point : null;
}

// Hands on a stage: one finger slides, moves or uses a tool, two zoom. `hands`: what a figure does:
// point(u, v) is pointed at; tool() is used by press(event), pull(event), release(event) or null.
function hold(stage, hands, cut) {
  const touching = new Map();
  let doing = null;

  function slide(event) {
    cut.value = 100 * placeOf(stage, event)[0];
    cut.dispatchEvent(new Event("input"));
  }

  stage.addEventListener("pointerdown", (event) => {
    touching.set(event.pointerId, event);
    stage.setPointerCapture(event.pointerId);
    const divider = event.target.closest(".divider") !== null;
    const tool = hands.tool?.();
    if (tool && !divider && touching.size === 1) doing = tool;
    else if (cut && touching.size === 1 && (view.zoom === 1 || divider)) doing = { pull: slide };
    else doing = null;
    (doing?.press ?? doing?.pull)?.(event);
  });
  stage.addEventListener("pointermove", (event) => {
    const point = pointOf(stage, event);
    if (point) hands.point?.(...point);
    const before = touching.get(event.pointerId);
    if (!before) return;
    const other = [...touching.values()].find((touch) => touch.pointerId !== event.pointerId);
    if (other) {
      const apart = (touch) => Math.hypot(touch.clientX - other.clientX, touch.clientY - other.clientY);
      zoomBy(apart(event) / Math.max(apart(before), 1), ...placeOf(stage, other));
    } else if (doing) {
      doing.pull?.(event);
    } else {
      const [[x0, y0], [x1, y1]] = [placeOf(stage, before), placeOf(stage, event)];
      moveBy(x1 - x0, y1 - y0);
    }
    touching.set(event.pointerId, event);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    stage.addEventListener(end, (event) => {
      if (end === "pointerup" && touching.has(event.pointerId)) doing?.release?.(event);
      touching.delete(event.pointerId);
      doing = null;
    });
  }
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY / 300), ...placeOf(stage, event));
  }, { passive: false });
  stage.addEventListener("dblclick", (event) => { if (!hands.tool?.()) zoomBy(2, ...placeOf(stage, event)); });
  stage.addEventListener("keydown", (event) => onKey(event, hands));
}

// Keys of a stage: zoom, move; with Shift the reading point moves by a pixel, Enter uses the tool.
function onKey(event, hands) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const keys = { "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5), 0: fit };
  const step = steps[event.key];
  if (step && event.shiftKey && hands.step) hands.step(...step);
  else if (step) moveBy(-0.1 * step[0], -0.1 * step[1]);
  else if (event.key === "Enter" && hands.enter) hands.enter();
  else if (keys[event.key]) keys[event.key]();
  else return;
  event.preventDefault();
}
