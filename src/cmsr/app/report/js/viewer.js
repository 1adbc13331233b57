// The main viewer: two pictures at a divider, colours of the reader's choice, readings, marks.
class Viewer {
  constructor(figure, layers) {
    Object.assign(this, { figure, layers, result: layers.result });
    this.stage = figure.querySelector(".stage");
    this.output = figure.querySelector(".reading");
    this.point = [0.5, 0.5];
    const { map, from, to } = this.result;
    this.usual = [from, to];
    this.look = { map, inverted: false, low: from, high: to, clipped: false, isotherm: null };
    this.hands = { point: (u, v) => this.read(u, v), step: (x, y) => this.step(x, y) };
    if (figure.querySelector("[data-tools]")) this.arm();
    hold(this.stage, this.hands, figure.querySelector("[data-cut]"));
    this.on("[data-cut]", "input", (input) => figure.style.setProperty("--cut", input.value));
    this.on("[data-smooth]", "change", (input) => root.classList.toggle("smooth", input.checked));
    this.paint();
  }

  find(selector) {
    return this.figure.querySelector(selector);
  }

  on(selector, type, act) {
    for (const part of this.figure.querySelectorAll(selector)) part.addEventListener(type, () => act(part));
  }

  // The tools of a whole report, which a notebook's slider lacks.
  arm() {
    const { input, weight, error } = this.layers;
    const others = { input, ...(weight && { weight }), ...(error && { "expected error": error }) };
    this.marks = new Marks(this.figure, this.result, others);
    this.hands.tool = () => this.tool();
    this.hands.enter = () => this.marks.add([...this.pixel(...this.point), 1, 1]);
    this.on("[data-shows]", "change", (select) => this.choose(select));
    this.on("[data-blink]", "click", (button) => this.blink(button));
    this.on("[data-colours] select, [data-colours] input", "input", () => this.restyle());
    this.on("[data-range]", "click", (button) => this.range(button.dataset.range));
    this.on("[data-add]", "click", () => this.marks.add(
      ["column", "row", "width", "height"].map((name) => Number(this.find(`[data-box=${name}]`).value)),
    ));
    this.on("[data-end]", "click", (button) => {
      const end = this.result[button.dataset.end];
      if (end) this.marks.add([end[1], end[2], 1, 1]);
    });
    this.on("[data-csv]", "click", () => save(`${this.stem()}_spots.csv`, new Blob([this.marks.csv()], { type: "text/csv" })));
    this.on("[data-picture]", "click", () => this.save());
    this.showLook();
  }

  stem() {
    return document.querySelector("h1").textContent.trim().replace(/\.[^.]*$/, "");
  }

  // ---- Reading

  pixel(u, v) {
    return [Math.floor(u * this.result.width), Math.floor(v * this.result.height)];
  }

  read(u, v) {
    this.point = [u, v];
    const [column, row] = this.pixel(u, v);
    const { result, input, weight, error } = this.layers;
    const parts = [`result ${result.text(result.at(u, v))}`, `input ${input.text(input.at(u, v))}`];
    if (weight) parts.push(`guide weight ${weight.text(weight.at(u, v))}`);
    if (error) parts.push(`expected error ± ${error.text(error.at(u, v))}`);
    this.output.textContent = `column ${column}, row ${row}: ${parts.join(", ")}`;
  }

  // Move the reading point by whole pixels, or by packed ones of a large result.
  step(x, y) {
    const sides = [this.result.width, this.result.height];
    const at = this.pixel(...this.point).map((place, axis) => {
      const moved = place + [x, y][axis] * this.result.every;
      return (Math.max(0, Math.min(sides[axis] - 1, moved)) + 0.5) / sides[axis];
    });
    this.output.setAttribute("aria-live", "polite");
    this.read(...at);
    this.find(".marks .point")?.remove();
    this.find(".marks")?.append(markAt([...at, ...at], "point"));
  }

  tool() {
    const chosen = this.find("[name=tool]:checked")?.value;
    return chosen === "spot" || chosen === "box" ? this.marks.tool(chosen, this.stage) : null;
  }

  // ---- What is shown

  choose(select) {
    const pane = this.find(select.dataset.shows === "left" ? ".pane.left" : ".pane.right");
    pane.dataset.layer = select.value;
    const tag = this.find(select.dataset.shows === "left" ? ".tag.left" : ".tag.right");
    tag.textContent = select.selectedOptions[0].textContent;
    const photo = pane.querySelector("img.photo");
    if (select.value.startsWith("photo")) photo.src = document.querySelector(`[data-name="${select.value}"]`).src;
    this.paint();
  }

  blink(button) {
    const on = this.figure.classList.toggle("blinking");
    button.setAttribute("aria-pressed", on);
  }

  // The look of a layer: the reader's for result and input, its own for others.
  lookOf(name) {
    if (name === "result" || name === "input") return this.look;
    const { map, from, to } = this.layers[name];
    return { map, low: from, high: to };
  }

  paint() {
    for (const pane of this.figure.querySelectorAll(".pane")) {
      const name = pane.dataset.layer;
      const canvas = pane.querySelector("canvas");
      const isPhoto = name.startsWith("photo");
      pane.querySelector("img:not(.photo)").hidden = true;
      pane.querySelector("img.photo").hidden = !isPhoto;
      canvas.hidden = isPhoto;
      canvas.classList.toggle("input", name === "input");
      if (!isPhoto) paint(this.layers[name], canvas, this.lookOf(name));
    }
    showScale(this.find(".scale"), this.look);
    if (this.marks) this.showEnds();
  }

  // Whether values lie beyond the colours, how many, and where the least and the most are.
  showEnds() {
    const { least, most } = this.result;
    const [below, above] = this.result.beyond(this.look.low, this.look.high);
    const share = (part) => (part < 0.0005 ? "less than 0.1 %" : `${(100 * part).toFixed(1)} %`);
    const said = [];
    if (least) {
      const named = (end) => `${this.result.text(end[0])} at column ${end[1]}, row ${end[2]}`;
      said.push(`Minimum ${named(least)}; maximum ${named(most)}.`);
    }
    if (above > 0) said.push(`${share(above)} of the pixels lie above the colours.`);
    if (below > 0) said.push(`${share(below)} lie below them.`);
    this.find("[data-extremes]").textContent = said.join(" ");
    for (const mark of this.figure.querySelectorAll(".marks .end")) mark.remove();
    if (!this.find("[data-ends]").checked || !least) return;
    for (const [end, label] of [[least, "min"], [most, "max"]]) {
      const [u, v] = [(end[1] + 0.5) / this.result.width, (end[2] + 0.5) / this.result.height];
      this.find(".marks").append(markAt([u, v, u, v], "end", `${label} ${end[0].toFixed(this.result.digits)}`));
    }
  }

  // ---- Colours

  restyle() {
    const number = (name) => Number.parseFloat(this.find(`[data-${name}]`).value);
    const [low, high] = [number("low"), number("high")];
    this.find("[data-range-error]").hidden = high > low;
    if (!(high > low)) return;
    const side = this.find("[data-side]").value;
    Object.assign(this.look, {
      map: this.find("[data-map]").value,
      inverted: this.find("[data-inverted]").checked,
      clipped: this.find("[data-clipped]").checked,
      isotherm: side ? { side, at: number("at"), to: number("to") } : null,
      low,
      high,
    });
    for (const name of ["at", "to"]) this.find(`[data-${name}]`).disabled = !side || (name === "to" && side !== "between");
    this.paint();
    this.showHistogram();
  }

  range(kind) {
    const { least, most } = this.result;
    const [low, high] = kind === "full" && least && most[0] > least[0] ? [least[0], most[0]] : this.usual;
    this.find("[data-low]").value = low.toFixed(this.result.digits);
    this.find("[data-high]").value = high.toFixed(this.result.digits);
    this.restyle();
  }

  showLook() {
    const { least, most, digits } = this.result;
    this.counts = this.result.histogram(128);
    for (const name of ["low", "high"]) this.find(`[data-${name}]`).value = this.look[name].toFixed(digits);
    if (least) [["at", most], ["to", most]].forEach(([name, end]) => { this.find(`[data-${name}]`).value = end[0].toFixed(digits); });
    this.showHistogram();
  }

  // Columns as high as the root of their count, so that a small hot spot can be seen.
  showHistogram() {
    const svg = this.find("[data-histogram]");
    const { least, most } = this.result;
    if (!least || most[0] === least[0]) { svg.hidden = true; return; }
    const top = Math.sqrt(Math.max(...this.counts));
    const bars = this.counts.map((count, bin) => `M${bin} 40v${(-38 * Math.sqrt(count)) / top}h1V40z`).join("");
    const place = (value) => Math.max(0, Math.min(128, (128 * (value - least[0])) / (most[0] - least[0])));
    const [low, high] = [place(this.look.low), place(this.look.high)];
    svg.querySelector(".bars").setAttribute("d", bars);
    svg.querySelector(".span").setAttribute("d", `M${low} 0h${Math.max(high - low, 0.5)}v40H${low}z`);
    const text = `Histogram of the result from ${this.result.text(least[0])} to ${this.result.text(most[0])}; colours from ${this.look.low.toFixed(this.result.digits)} to ${this.look.high.toFixed(this.result.digits)}`;
    svg.setAttribute("aria-label", text);
    this.find("[data-histogram-low]").textContent = this.result.text(least[0]);
    this.find("[data-histogram-high]").textContent = this.result.text(most[0]);
  }

  // Save the result in the colours shown, as a PNG, with its marks.
  save() {
    const canvas = document.createElement("canvas");
    paint(this.result, canvas, this.look);
    const pen = canvas.getContext("2d");
    const size = Math.max(12, canvas.width / 60);
    Object.assign(pen, { font: `${size}px system-ui, sans-serif`, lineWidth: size / 8 });
    for (const { name, column, row, width, height } of this.marks.marks) {
      const box = [column, row, width, height].map((place) => place / this.result.every);
      for (const [colour, wider] of [["#000", size / 4], ["#fff", size / 10]]) {
        Object.assign(pen, { strokeStyle: colour, lineWidth: wider });
        if (width * height === 1) { pen.beginPath(); pen.arc(box[0] + 0.5, box[1] + 0.5, size / 2, 0, 7); pen.stroke(); }
        else pen.strokeRect(...box);
      }
      Object.assign(pen, { strokeStyle: "#000", fillStyle: "#fff", lineWidth: size / 5 });
      pen.strokeText(name, box[0] + box[2] + size / 2, box[1] - size / 4);
      pen.fillText(name, box[0] + box[2] + size / 2, box[1] - size / 4);
    }
    canvas.toBlob((blob) => save(`${this.stem()}_preview.png`, blob));
  }
}
