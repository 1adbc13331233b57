// From values to colours: maps, range, isotherm, what lies beyond the range.
const palettes = Object.fromEntries(
  Object.entries(JSON.parse(document.getElementById("palettes").textContent)).map(([name, hex]) => [
    name,
    hex.match(/.{6}/g).map((colour) => [0, 2, 4].map((at) => parseInt(colour.slice(at, at + 2), 16))),
  ]),
);
const ABOVE = [0, 229, 255], BELOW = [59, 107, 255], ISOTHERM = [125, 255, 0];

const rgba = ([red, green, blue]) => (255 << 24) | (blue << 16) | (green << 8) | red;
const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;

function coloursOf(look) {
  const colours = palettes[look.map];
  return look.inverted ? [...colours].reverse() : colours;
}

// Whether an isotherm { side, at, to } holds a value.
function inIsotherm({ side, at, to }, value) {
  if (side === "above") return value >= at;
  if (side === "below") return value <= at;
  return side === "between" && value >= Math.min(at, to) && value <= Math.max(at, to);
}

// Paint a layer onto a canvas; look: { map, inverted, low, high, clipped, isotherm }.
function paint(layer, canvas, look) {
  const colours = coloursOf(look).map(rgba);
  const last = colours.length - 1;
  const [above, below, marked] = [ABOVE, BELOW, ISOTHERM].map(rgba);
  [canvas.width, canvas.height] = [layer.columns, layer.rows];
  const context = canvas.getContext("2d");
  const picture = context.createImageData(layer.columns, layer.rows);
  const pixels = new Uint32Array(picture.data.buffer);
  const slope = (last * layer.step) / (look.high - look.low);
  const start = (last * (layer.low - look.low)) / (look.high - look.low) + 0.5;
  const isotherm = look.isotherm && look.isotherm.side ? look.isotherm : null;
  for (let at = 0; at < pixels.length; at++) {
    const level = layer.levels[at];
    if (level === 0) continue;
    const colour = start + slope * (level - 1);
    if (isotherm && inIsotherm(isotherm, layer.value(level))) pixels[at] = marked;
    else if (colour < 0) pixels[at] = look.clipped ? below : colours[0];
    else if (colour >= last + 1) pixels[at] = look.clipped ? above : colours[last];
    else pixels[at] = colours[colour | 0];
  }
  context.putImageData(picture, 0, 0);
}

// Round values within a range, about `count` of them, with equal decimals.
function ticksOf(low, high, count) {
  const raw = (high - low) / count;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = unit * ([1, 2, 5].find((factor) => factor * unit >= raw) ?? 10);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const ticks = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9 * step; n++) ticks.push(n * step);
  return ticks.map((value) => [(100 * (value - low)) / (high - low), value.toFixed(digits)]);
}

function showScale(scale, look) {
  const stops = coloursOf(look).filter((_, at) => at % 14 === 0).map(css);
  scale.querySelector(".ramp").style.background = `linear-gradient(to right, ${stops.join(", ")})`;
  const ticks = scale.querySelector(".ticks");
  ticks.replaceChildren(
    ...ticksOf(look.low, look.high, 5).map(([at, text]) => {
      const tick = document.createElement("span");
      tick.style.left = `${at.toFixed(2)}%`;
      tick.textContent = text;
      return tick;
    }),
  );
  spread(ticks);
}

// Hide ticks that would cover one before them, or leave the page.
function spread(ticks) {
  let end = -Infinity;
  for (const tick of ticks.children) tick.style.visibility = "";
  for (const tick of ticks.children) {
    const box = tick.getBoundingClientRect();
    const fits = box.left > end && box.left >= 0 && box.right <= root.clientWidth;
    tick.style.visibility = fits ? "" : "hidden";
    if (fits) end = box.right + 6;
  }
}
