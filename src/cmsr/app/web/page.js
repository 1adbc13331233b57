// What the page's components do not do by themselves: names, points, the overlay, settings in the URL.

// Gradio's own stream says this whenever it is closed in good order.
const warn = console.warn;
console.warn = (...told) => { if (told[0] !== "Method not implemented.") warn(...told); };

// ---- Settings: what differs from the preset is kept in the URL.
function cmsrRemember(values) {
  const chosen = Object.fromEntries(cmsr.names.map((name, at) => [name, values[at]]));
  const query = new URLSearchParams(location.search);
  for (const name of cmsr.names) {
    const usual = name === "preset" ? "default" : (cmsr.usual[chosen.preset] ?? {})[name];
    const value = chosen[name] ?? "";
    if (["points", "rig"].includes(name) || String(value) === String(usual ?? "")) query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  history.replaceState(history.state, "", location.pathname + (text ? `?${text}` : ""));
}

// ---- Points: a click in the image, then one in the photo; the field of the option holds them.
let waiting = null; // [x, y] in the image, until its place in the photo is clicked

const pointsField = () => document.querySelector("#option-points textarea");

function pointsOf(text) {
  const lines = text.split("\n").map((line) => line.split(",").map(Number));
  return lines.filter((line) => line.length === 4 && line.every(Number.isFinite));
}

function setPoints(points) {
  const field = pointsField();
  const text = points.map((point) => point.map((n) => n.toFixed(1)).join(",")).join("\n");
  const set = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set;
  set.call(field, text);
  field.dispatchEvent(new Event("input", { bubbles: true }));
  showPoints();
}

function mark(figure, x, y, label) {
  const spot = document.createElement("span");
  spot.className = "spot";
  spot.textContent = label;
  spot.style.left = `${(100 * x) / figure.dataset.width}%`;
  spot.style.top = `${(100 * y) / figure.dataset.height}%`;
  figure.querySelector(".frame").append(spot);
}

function showPoints() {
  for (const spot of document.querySelectorAll("#pair .spot")) spot.remove();
  const [image, photo] = ["target", "photo"].map((role) => document.querySelector(`#pair [data-role=${role}]`));
  if (!image || !photo || !pointsField()) return;
  const points = pointsOf(pointsField().value);
  points.forEach(([x, y, u, v], at) => {
    mark(image, x, y, at + 1);
    mark(photo, u, v, at + 1);
  });
  if (waiting) mark(image, ...waiting, points.length + 1);
  let help = document.querySelector("#pair .help");
  if (!help) {
    help = document.createElement("p");
    help.className = "help";
    help.setAttribute("role", "status");
    document.querySelector("#pair [data-role=photo]").after(help);
  }
  const next = waiting ? "Now click the same place in the photo." : "If the photo lies wrongly: click a place in the image, then the same place in the photo.";
  const need = points.length === 1 ? " Two points or more place it." : "";
  help.textContent = `${next}${need} `;
  if (!points.length && !waiting) return;
  const undo = document.createElement("button");
  undo.type = "button";
  undo.dataset.undo = "";
  undo.textContent = "Remove the last point";
  help.append(undo);
}

document.addEventListener("click", (event) => {
  if (event.target.closest("#pair [data-undo]")) {
    if (waiting) waiting = null;
    else setPoints(pointsOf(pointsField().value).slice(0, -1));
    showPoints();
    return;
  }
  const blink = event.target.closest("#overlay [data-blink]");
  if (blink) {
    const on = blink.closest(".overlay").classList.toggle("blinking");
    blink.setAttribute("aria-pressed", on);
    return;
  }
  const finished = event.target.closest("[data-open]");
  if (finished) {
    openReport(finished.dataset.open);
    return;
  }
  const frame = event.target.closest("#pair .frame");
  if (!frame || !document.querySelector("#pair [data-role=photo]")) return;
  const figure = frame.closest(".thumb");
  const box = frame.getBoundingClientRect();
  const place = [
    ((event.clientX - box.left) / box.width) * figure.dataset.width,
    ((event.clientY - box.top) / box.height) * figure.dataset.height,
  ];
  if (figure.dataset.role === "target") waiting = place;
  else if (waiting) {
    const point = [...waiting, ...place];
    waiting = null;
    setPoints([...pointsOf(pointsField().value), point]);
  }
  showPoints();
});

document.addEventListener("input", (event) => {
  if (event.target.matches("[data-over]")) {
    event.target.closest(".overlay").style.setProperty("--over", event.target.value / 100);
  }
  if (event.target === pointsField()) showPoints();
});

// ---- A finished pair of several is looked at while the others are made.
async function openReport(address) {
  const frame = document.createElement("iframe");
  frame.title = "report";
  frame.setAttribute("sandbox", "allow-scripts allow-downloads");
  frame.setAttribute("allow", "clipboard-write");
  frame.srcdoc = await (await fetch(address)).text();
  document.getElementById("looked-at").replaceChildren(frame);
  frame.scrollIntoView({ block: "start" });
}

// ---- Files: their buttons have names, and one that is too large is told in words.
function tooLarge(file) {
  return `${file.name} has ${(file.size / 2 ** 20).toFixed(1)} MB; this server takes files of up to ${cmsr.maxUpload} MB.`;
}

document.addEventListener("change", (event) => {
  if (event.target.type !== "file") return;
  const large = [...event.target.files].filter((file) => file.size > cmsr.maxUpload * 2 ** 20);
  const told = document.getElementById("told");
  if (told) told.textContent = large.map(tooLarge).join(" ");
}, true);

function nameUploads() {
  for (const button of document.querySelectorAll("button[aria-label*='pload']")) {
    const block = button.closest(".block");
    const label = block?.querySelector("label")?.textContent.trim();
    if (label && !button.getAttribute("aria-label").startsWith(label)) {
      button.setAttribute("aria-label", `${label}: choose a file to upload`);
    }
  }
}

// ---- What the server has changed: name it, draw the points, bring the report into view.
let seen = { pair: null, report: null };
new MutationObserver(() => {
  nameUploads();
  const pair = document.querySelector("#pair [data-role=target] img")?.src ?? null;
  const photo = document.querySelector("#pair [data-role=photo] img")?.src ?? null;
  if (pair !== seen.pair || photo !== seen.photo) {
    [seen.pair, seen.photo, waiting] = [pair, photo, null];
    showPoints();
  }
  const report = document.querySelector("#view iframe");
  if (report && report !== seen.report) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    document.getElementById("status")?.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
  }
  seen.report = report;
}).observe(document, { childList: true, subtree: true });
