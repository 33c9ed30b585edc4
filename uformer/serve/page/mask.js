// The mask of a photo, which a brush paints: 255 where the photo is restored, 0 where it stays as it was.
// Data and pure functions, no DOM. A mask has the ratio of the photo, and at most MOST pixels; it is stretched
// to the photo as uformer/restore/masks.py does.

const MOST = 2e6;
const STEPS = 50; // that can be undone

let versions = 0;

export class Mask {
  // `width`, `height`: those of the photo.
  constructor(width, height) {
    const scale = Math.min(1, Math.sqrt(MOST / (width * height)));
    this.photoWidth = width;
    this.width = Math.max(Math.round(width * scale), 1);
    this.height = Math.max(Math.round(height * scale), 1);
    this.values = new Uint8Array(this.width * this.height).fill(255);
    this.version = 0; // a number for each content; 0 for a new mask, which restores everything
    this.steps = []; // for `undo`: versions, and how to get back to them
    this.stroke = null;
  }

  // Begins a stroke at a place in pixels of the photo. `brush`: {radius, softness, value}, with the radius in
  // pixels of the photo, softness from 0 to 1, and the value to paint. Returns the part of the mask that
  // changed: {left, top, right, bottom}.
  begin(x, y, brush) {
    const count = this.values.length;
    this.stroke = { brush, x, y, base: this.values.slice(), covered: new Uint8Array(count), part: null };
    return this.line(x, y);
  }

  // Paints a line from the last place of the stroke. A stroke that crosses itself does not get stronger.
  line(x, y) {
    const { stroke } = this;
    const scale = this.width / this.photoWidth;
    const { radius, softness, value } = stroke.brush;
    const line = { x0: stroke.x * scale - 0.5, y0: stroke.y * scale - 0.5, x1: x * scale - 0.5, y1: y * scale - 0.5 };
    const part = cover(stroke.covered, this.width, this.height, line, radius * scale, softness);
    for (let row = part.top; row < part.bottom; row += 1) {
      for (let at = row * this.width + part.left, end = row * this.width + part.right; at < end; at += 1) {
        this.values[at] = Math.round(stroke.base[at] + ((value - stroke.base[at]) * stroke.covered[at]) / 255);
      }
    }
    Object.assign(stroke, { x, y, part: stroke.part ? united(stroke.part, part) : part });
    return part;
  }

  end() {
    const { base, part } = this.stroke;
    this.stroke = null;
    const before = copied(base, this.width, part);
    this.step(() => { pasted(before, this.values, this.width, part); return part; });
  }

  // Takes back a stroke that is not finished, and returns the part that changed.
  cancel() {
    const { base, part } = this.stroke;
    this.stroke = null;
    this.values = base;
    return part;
  }

  invert() {
    this.step(() => this.turn());
    return this.turn();
  }

  // Makes the mask as it was when it was new.
  clear() {
    const { values } = this;
    this.step(() => { this.values = values; return this.whole; });
    this.values = new Uint8Array(values.length).fill(255);
    this.version = 0;
    return this.whole;
  }

  get undoable() { return this.steps.length > 0; }

  undo() {
    const { version, back } = this.steps.pop();
    this.version = version;
    return back();
  }

  // Returns a copy as engine.js describes it, without a stroke that is not finished.
  copy() {
    const { width, height, version } = this;
    return { values: (this.stroke?.base ?? this.values).slice(), width, height, version };
  }

  get whole() { return { left: 0, top: 0, right: this.width, bottom: this.height }; }

  turn() {
    for (let at = 0; at < this.values.length; at += 1) this.values[at] = 255 - this.values[at];
    return this.whole;
  }

  step(back) {
    this.steps.push({ version: this.version, back });
    if (this.steps.length > STEPS) this.steps.shift();
    this.version = ++versions;
  }
}

// Covers a line with a round brush, from 0 to 255 and at least as much as before. Returns the part that may have
// changed.
function cover(covered, width, height, { x0, y0, x1, y1 }, radius, softness) {
  const reach = radius + 1;
  const part = {
    left: Math.max(Math.floor(Math.min(x0, x1) - reach), 0), right: Math.min(Math.ceil(Math.max(x0, x1) + reach) + 1, width),
    top: Math.max(Math.floor(Math.min(y0, y1) - reach), 0), bottom: Math.min(Math.ceil(Math.max(y0, y1) + reach) + 1, height),
  };
  part.right = Math.max(part.right, part.left);
  part.bottom = Math.max(part.bottom, part.top);
  const [dx, dy] = [x1 - x0, y1 - y0];
  const length = dx * dx + dy * dy;
  const slope = Math.max(softness * radius, 1); // a hard edge is smoothed over one pixel
  const outer = radius + (softness * radius < 1 ? 0.5 : 0);
  for (let row = part.top; row < part.bottom; row += 1) {
    for (let column = part.left; column < part.right; column += 1) {
      const along = length ? Math.min(Math.max(((column - x0) * dx + (row - y0) * dy) / length, 0), 1) : 0;
      const distance = Math.hypot(column - x0 - along * dx, row - y0 - along * dy);
      const share = Math.min(Math.max((outer - distance) / slope, 0), 1);
      const value = Math.round(255 * share * share * (3 - 2 * share));
      const at = row * width + column;
      if (value > covered[at]) covered[at] = value;
    }
  }
  return part;
}

function united(one, other) {
  return {
    left: Math.min(one.left, other.left), top: Math.min(one.top, other.top),
    right: Math.max(one.right, other.right), bottom: Math.max(one.bottom, other.bottom),
  };
}

function copied(values, width, { left, top, right, bottom }) {
  const rows = [];
  for (let row = top; row < bottom; row += 1) rows.push(values.slice(row * width + left, row * width + right));
  return rows;
}

function pasted(rows, values, width, { left, top }) { rows.forEach((row, at) => values.set(row, (top + at) * width + left)); }

// Returns the shares from 0 to 1 of a part of a photo of `photo` = {width, height} pixels, one for each of
// `width` x `height` places. `part`: {left, top, columns, rows, width, height}, of which the first four are in
// pixels of the photo.
export function sharesOf({ values, width: across, height: down }, photo, { left, top, columns, rows, width, height }) {
  const out = new Float32Array(width * height);
  const xs = Array.from({ length: width }, (_, at) => between(left + ((at + 0.5) * columns) / width, photo.width, across));
  for (let row = 0, at = 0; row < height; row += 1) {
    const [above, under, below] = between(top + ((row + 0.5) * rows) / height, photo.height, down);
    for (let column = 0; column < width; column += 1, at += 1) {
      const [first, second, beside] = xs[column];
      const start = values[above * across + first] + (values[under * across + first] - values[above * across + first]) * below;
      const end = values[above * across + second] + (values[under * across + second] - values[above * across + second]) * below;
      out[at] = (start + (end - start) * beside) / 255;
    }
  }
  return out;
}

// Returns the two pixels of a mask between whose centres a place in the photo lies, and how far.
function between(place, length, pixels) {
  const at = Math.min(Math.max((place * pixels) / length - 0.5, 0), pixels - 1);
  const low = Math.floor(at);
  return [low, Math.min(low + 1, pixels - 1), at - low];
}
