// Start: unpack the values, then bring every figure to life.
function wire(figure, layers) {
  const stages = figure.querySelectorAll(".stage");
  const output = figure.querySelector(".reading");
  const name = figure.querySelector("canvas[data-values]")?.dataset.values;
  const layer = layers[name];
  const point = (u, v) => {
    const place = `column ${Math.floor(u * layer.width)}, row ${Math.floor(v * layer.height)}`;
    output.textContent = `${place}: ${layer.text(layer.at(u, v))}`;
  };
  for (const stage of stages) hold(stage, output && layer ? { point } : {}, null);
  for (const canvas of figure.querySelectorAll("canvas[data-values]")) {
    const shown = layers[canvas.dataset.values];
    paint(shown, canvas, { map: shown.map, low: shown.from, high: shown.to });
    if (canvas.previousElementSibling) canvas.previousElementSibling.hidden = true;
    canvas.hidden = false;
  }
  for (const input of figure.querySelectorAll("[data-opacity]")) {
    input.addEventListener("input", () => figure.style.setProperty("--opacity", input.value));
  }
  for (const input of figure.querySelectorAll("[name=shown]")) {
    input.addEventListener("change", () => { figure.dataset.shown = input.value; });
  }
}

async function start() {
  const packed = JSON.parse(document.getElementById("layers").textContent);
  const layers = {};
  for (const [name, values] of Object.entries(packed)) layers[name] = await unpacked(values);
  const zooms = { in: () => zoomBy(1.5), out: () => zoomBy(1 / 1.5), fit };
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", zooms[button.dataset.zoom]);
  }
  const main = document.getElementById("compare");
  new Viewer(main, layers);
  for (const figure of document.querySelectorAll(".viewer")) if (figure !== main) wire(figure, layers);
  for (const button of document.querySelectorAll("[data-copy-command]")) {
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.previousElementSibling.textContent);
      button.textContent = "Copied";
    });
  }
  const spreadAll = () => { for (const ticks of document.querySelectorAll(".ticks")) spread(ticks); };
  window.addEventListener("resize", spreadAll);
  show();
  spreadAll();
  root.classList.add("ready");
}

start();
