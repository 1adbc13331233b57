// Values of the pictures: packed into the page (packed.py), unpacked here once.

// Undo differences: each level is its difference from left + above - above left.
function undifferenced(folded, width, height) {
  const levels = new Uint32Array(folded.length);
  for (let row = 0, at = 0; row < height; row++) {
    for (let column = 0; column < width; column++, at++) {
      const left = column ? levels[at - 1] : 0;
      const above = row ? levels[at - width] : 0;
      const corner = column && row ? levels[at - width - 1] : 0;
      levels[at] = ((folded[at] >>> 1) ^ -(folded[at] & 1)) + left + above - corner;
    }
  }
  return levels;
}

async function unpacked(packed) {
  const bytes = Uint8Array.from(atob(packed.data), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const width = Math.ceil(packed.width / packed.every);
  const height = Math.ceil(packed.height / packed.every);
  const folded = new Uint32Array(width * height);
  for (let plane = 0; plane < packed.planes; plane++) {
    const start = plane * folded.length;
    for (let at = 0; at < folded.length; at++) folded[at] |= planes[start + at] << (8 * plane);
  }
  return new Layer(packed, undifferenced(folded, width, height), width, height);
}

// One image of values; (u, v) are places in shares of its width and height.
class Layer {
  constructor(packed, levels, columns, rows) {
    Object.assign(this, packed, { levels, columns, rows, data: null });
  }

  value(level) {
    return level === 0 ? NaN : this.low + this.step * (level - 1);
  }

  // The level at which painting a value begins, for comparisons.
  level(value) {
    return (value - this.low) / this.step + 1;
  }

  column(u) {
    return Math.min(this.columns - 1, Math.floor(Math.floor(u * this.width) / this.every));
  }

  row(v) {
    return Math.min(this.rows - 1, Math.floor(Math.floor(v * this.height) / this.every));
  }

  at(u, v) {
    return this.value(this.levels[this.row(v) * this.columns + this.column(u)]);
  }

  text(value) {
    if (Number.isNaN(value)) return "no value";
    return `${value.toFixed(this.digits)} ${this.unit}`.trim();
  }

  // Count, least, mean and most of the values in a box [u0, v0, u1, v1], its ends included.
  within([u0, v0, u1, v1]) {
    let [count, sum, least, most] = [0, 0, Infinity, -Infinity];
    for (let row = this.row(v0); row <= this.row(v1); row++) {
      for (let column = this.column(u0); column <= this.column(u1); column++) {
        const level = this.levels[row * this.columns + column];
        if (level === 0) continue;
        count++;
        sum += level;
        least = Math.min(least, level);
        most = Math.max(most, level);
      }
    }
    if (count === 0) return { count, least: NaN, mean: NaN, most: NaN };
    return { count, least: this.value(least), mean: this.value(sum / count), most: this.value(most) };
  }

  // How many values lie in each of some equal bins from the least to the most.
  histogram(bins) {
    const counts = new Array(bins).fill(0);
    const last = this.most ? this.level(this.most[0]) : 1;
    for (const level of this.levels) {
      if (level) counts[Math.min(bins - 1, Math.floor((bins * (level - 1)) / Math.max(last - 1, 1)))]++;
    }
    return counts;
  }

  // Shares of the values that lie below and above a range.
  beyond(low, high) {
    const [first, last] = [this.level(low) - 1e-6, this.level(high) + 1e-6];
    let [count, below, above] = [0, 0, 0];
    for (const level of this.levels) {
      if (level === 0) continue;
      count++;
      if (level < first) below++;
      else if (level > last) above++;
    }
    return [below / Math.max(count, 1), above / Math.max(count, 1)];
  }
}
