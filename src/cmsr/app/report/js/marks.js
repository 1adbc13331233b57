// Spots and boxes that the reader sets, the extremes, the reading point: drawn over a stage, listed.
const HEADINGS = ["name", "column", "row", "width", "height", "minimum", "mean", "maximum"];

// A place of the frame as it lies in the CSS of a mark, which follows zoom and place by itself.
function markAt([u0, v0, u1, v1], kind, label = "") {
  const mark = document.createElement("span");
  mark.className = `mark ${kind}`;
  const places = { u: u0, v: v0, w: u1 - u0, h: v1 - v0 };
  for (const [name, value] of Object.entries(places)) mark.style.setProperty(`--${name}`, value);
  mark.dataset.label = label;
  mark.classList.toggle("leftward", u0 > 0.7);
  return mark;
}

// Spots and boxes on a layer; others: { heading: layer } whose mean is listed, too.
class Marks {
  constructor(figure, layer, others) {
    Object.assign(this, { figure, layer, others, marks: [], counts: { spot: 0, box: 0 } });
    this.place = figure.querySelector(".marks");
    this.table = figure.querySelector("[data-marks]");
    this.headings = [...HEADINGS, ...Object.keys(others)];
  }

  // Add a box of whole pixels [column, row, width, height]; one of one pixel is a spot.
  add([column, row, width, height]) {
    const [w, h] = [this.layer.width, this.layer.height];
    column = Math.max(0, Math.min(w - 1, Math.round(column)));
    row = Math.max(0, Math.min(h - 1, Math.round(row)));
    width = Math.max(1, Math.min(w - column, Math.round(width) || 1));
    height = Math.max(1, Math.min(h - row, Math.round(height) || 1));
    const kind = width * height === 1 ? "spot" : "box";
    const name = `${kind} ${++this.counts[kind]}`;
    this.marks.push({ name, kind, column, row, width, height });
    this.show();
  }

  remove(name) {
    this.marks = this.marks.filter((mark) => mark.name !== name);
    this.show();
  }

  // The values of a mark, as they are listed and saved.
  row({ name, column, row, width, height }) {
    const [w, h] = [this.layer.width, this.layer.height];
    const box = [(column + 0.5) / w, (row + 0.5) / h, (column + width - 0.5) / w, (row + height - 0.5) / h];
    const { least, mean, most } = this.layer.within(box);
    const digits = (layer, value) => (Number.isNaN(value) ? "" : value.toFixed(layer.digits));
    const values = [least, mean, most].map((value) => digits(this.layer, value));
    const others = Object.values(this.others).map((layer) => digits(layer, layer.within(box).mean));
    return [name, column, row, width, height, ...values, ...others];
  }

  show() {
    for (const mark of this.place.querySelectorAll(".spot, .box")) mark.remove();
    const [w, h] = [this.layer.width, this.layer.height];
    for (const { kind, name, column, row, width, height } of this.marks) {
      const box = kind === "spot"
        ? [(column + 0.5) / w, (row + 0.5) / h, (column + 0.5) / w, (row + 0.5) / h]
        : [column / w, row / h, (column + width) / w, (row + height) / h];
      this.place.append(markAt(box, kind, name.replace(/spot |box /, kind === "spot" ? "S" : "B")));
    }
    this.table.hidden = this.marks.length === 0;
    this.table.querySelector("tbody").replaceChildren(...this.marks.map((mark) => this.line(mark)));
    this.figure.querySelector("[data-csv]").disabled = this.marks.length === 0;
  }

  line(mark) {
    const line = document.createElement("tr");
    for (const value of this.row(mark)) line.insertCell().textContent = value;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Remove";
    button.setAttribute("aria-label", `remove ${mark.name}`);
    button.addEventListener("click", () => this.remove(mark.name));
    line.insertCell().append(button);
    return line;
  }

  csv() {
    const unit = this.layer.unit ? ` (${this.layer.unit})` : "";
    const named = this.headings.map((name) => {
      const valued = ["minimum", "mean", "maximum", "input"].includes(name) || name === "expected error";
      return valued ? name + unit : name;
    });
    return [named, ...this.marks.map((mark) => this.row(mark))].map((line) => `${line.join(",")}\r\n`).join("");
  }

  // What a pointer does with a tool, "spot" or "box".
  tool(kind, stage) {
    let [start, drawn] = [null, null];
    const pixel = ([u, v]) => [Math.floor(u * this.layer.width), Math.floor(v * this.layer.height)];
    const spanned = (event) => {
      const [a, b] = [pixel(start), pixel(pointOf(stage, event) ?? start)];
      const [left, top] = [Math.min(a[0], b[0]), Math.min(a[1], b[1])];
      return [left, top, Math.abs(a[0] - b[0]) + 1, Math.abs(a[1] - b[1]) + 1];
    };
    return {
      press: (event) => { start = pointOf(stage, event); },
      pull: (event) => {
        drawn?.remove();
        if (!start || kind !== "box") return;
        const [left, top, width, height] = spanned(event);
        const [w, h] = [this.layer.width, this.layer.height];
        drawn = markAt([left / w, top / h, (left + width) / w, (top + height) / h], "drawn");
        this.place.append(drawn);
      },
      release: (event) => {
        drawn?.remove();
        if (start) this.add(kind === "box" ? spanned(event) : [...pixel(pointOf(stage, event) ?? start), 1, 1]);
        start = null;
      },
    };
  }
}

// Let the reader save something.
function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
