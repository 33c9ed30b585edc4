// The brush: paints the mask of a photo in the viewer, by mouse, pen, touch or keyboard, and shows the mask.

import { Mask } from "./mask.js";

const $ = (id) => document.getElementById(id);
const SMALLEST = 6; // diameter in CSS pixels
const LARGEST = 400;
const TINT = [224, 36, 94]; // of the parts that stay as they were
const DENSITY = 0.55; // of the tint
const SOON = 300; // milliseconds
const LABEL = "Photo with a brush. Arrow keys move the brush, the space bar puts it down and lifts it, X swaps what it does, "
  + "I inverts the mask, Control Z undoes, Escape puts the brush away.";

export class Brush {
  // `onPaint()` is called when the mask changed, `onEnd()` when a stroke or another step is finished; `say(text)`
  // tells screen readers.
  constructor(viewer, { onPaint, onEnd, say }) {
    Object.assign(this, { viewer, onPaint, onEnd, say, photo: null, tint: null, shown: true, at: null, down: false, since: 0, waiting: 0 });
    this.bar = $("brushes");
    this.labels = [viewer.root.getAttribute("aria-label"), LABEL];
    this.canvas = $("overlay");
    this.ring = $("ring");
    this.bar.addEventListener("input", () => this.draw());
    for (const name of ["brush", "brush-done"]) {
      $(name).addEventListener("click", () => { this.toggle(); (this.active ? viewer.root : $("brush")).focus({ preventScroll: true }); });
    }
    $("brush-undo").addEventListener("click", () => this.do((mask) => mask.undo()));
    $("brush-invert").addEventListener("click", () => this.do((mask) => mask.invert()));
    $("brush-clear").addEventListener("click", () => this.do((mask) => mask.clear()));
    $("brush-show").addEventListener("click", () => { this.shown = !this.shown; this.draw(); });
    viewer.root.addEventListener("pointerleave", () => { if (!this.down) this.point(null); });
    addEventListener("keydown", (event) => this.press(event));
  }

  get active() { return this.viewer.brush === this; }

  get mask() { return this.photo?.mask; }

  get diameter() { return SMALLEST * (LARGEST / SMALLEST) ** ($("brush-size").value / 100); }

  get erases() { return this.bar.querySelector("[name=brush]:checked").value === "restore"; }

  // Shows a photo, whose mask the brush paints; null for none that can be painted.
  show(photo) {
    if (photo === this.photo) { this.draw(); return; }
    Object.assign(this, { photo, tint: null, at: null });
    if (this.active) this.toggle();
  }

  toggle() {
    this.end();
    const on = !this.active && Boolean(this.photo) && this.viewer.width > 0;
    if (on) {
      this.photo.mask ??= new Mask(this.viewer.width, this.viewer.height);
      if (!this.tint) this.colour(this.mask.whole);
    }
    this.viewer.setBrush(on ? this : null);
    this.bar.hidden = !on;
    $("brush").setAttribute("aria-pressed", String(on));
    document.body.classList.toggle("painting", on);
    this.viewer.root.setAttribute("aria-label", this.labels[Number(on)]);
    if (on) this.onPaint(); else this.point(null);
    this.draw();
  }

  // A step that is not a stroke. `change` returns the part of the mask that it changed.
  do(change) {
    this.end();
    this.colour(change(this.mask));
    this.onPaint();
    this.onEnd();
    this.draw();
  }

  // A stroke: places are in CSS pixels of the viewer.

  begin(x, y) {
    Object.assign(this, { down: true, since: performance.now() });
    const brush = { radius: this.diameter / 2 / this.viewer.scale, softness: $("brush-soft").value / 100, value: this.erases ? 255 : 0 };
    this.painted(this.mask.begin(...this.placeOf(x, y), brush), x, y);
  }

  move(x, y) {
    if (this.down) this.painted(this.mask.line(...this.placeOf(x, y)), x, y);
    else this.point([x, y]);
  }

  end() {
    if (!this.down) return;
    this.down = false;
    this.mask.end();
    this.onEnd();
    this.draw();
  }

  // Ends a stroke because of a second finger, with which its beginning was not meant as a stroke.
  interrupt() {
    if (!this.down || performance.now() - this.since > SOON) { this.end(); return; }
    this.down = false;
    this.colour(this.mask.cancel());
    this.onPaint();
    this.draw();
  }

  painted(part, x, y) {
    this.colour(part);
    this.at = [x, y];
    this.onPaint();
    this.draw();
  }

  placeOf(x, y) { return [(x - this.viewer.x) / this.viewer.scale, (y - this.viewer.y) / this.viewer.scale]; }

  // Keys: arrows move the brush, the space bar puts it down and lifts it.
  press(event) {
    if (!this.active || event.target.closest?.("dialog")) return;
    const key = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && key === "z") { if (this.mask.undoable) $("brush-undo").click(); event.preventDefault(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("select, input[type=number]")) return;
    const acts = {
      "escape": () => $("brush-done").click(), "x": () => this.swap(), "i": () => $("brush-invert").click(),
      "[": () => this.size(-5), "]": () => this.size(5),
    };
    if (event.target === this.viewer.root) {
      const step = Math.max(this.diameter / 4, 4);
      Object.assign(acts, {
        "arrowleft": () => this.step(-step, 0), "arrowright": () => this.step(step, 0),
        "arrowup": () => this.step(0, -step), "arrowdown": () => this.step(0, step),
        " ": () => { if (this.down) this.end(); else this.begin(...this.middle); this.say(this.down ? "Brush down" : "Brush lifted"); },
      });
    }
    if (!acts[key]) return;
    acts[key]();
    event.preventDefault();
    event.stopPropagation();
  }

  get middle() { return this.at ?? [this.viewer.pane / 2, this.viewer.root.clientHeight / 2]; }

  step(dx, dy) {
    const [x, y] = this.middle;
    const { pane, root } = this.viewer;
    const to = [Math.min(Math.max(x + dx, 0), pane), Math.min(Math.max(y + dy, 0), root.clientHeight)];
    if (to[0] !== x + dx || to[1] !== y + dy) this.viewer.pan(to[0] - x - dx, to[1] - y - dy);
    this.move(...to);
  }

  swap() {
    this.bar.querySelector("[name=brush]:not(:checked)").checked = true;
    this.draw();
  }

  size(change) {
    $("brush-size").value = Number($("brush-size").value) + change;
    this.draw();
  }

  // Display

  point(at) {
    this.at = at;
    this.ring.hidden = !at || !this.active;
    if (!at) return;
    this.ring.style.width = this.ring.style.height = `${this.diameter}px`;
    this.ring.style.transform = `translate(${at[0] - this.diameter / 2}px, ${at[1] - this.diameter / 2}px)`;
    this.ring.classList.toggle("erases", this.erases);
    this.ring.classList.toggle("down", this.down);
  }

  // Colours a part of the mask where the photo stays as it was.
  colour({ left, top, right, bottom }) {
    const { mask } = this;
    this.tint ??= new OffscreenCanvas(mask.width, mask.height).getContext("2d");
    if (right <= left || bottom <= top) return;
    const image = this.tint.createImageData(right - left, bottom - top);
    const { data } = image;
    const [red, green, blue] = TINT;
    for (let row = top, to = 0; row < bottom; row += 1) {
      for (let column = left; column < right; column += 1, to += 4) {
        data[to] = red;
        data[to + 1] = green;
        data[to + 2] = blue;
        data[to + 3] = DENSITY * (255 - mask.values[row * mask.width + column]);
      }
    }
    this.tint.putImageData(image, left, top);
  }

  draw() {
    const { viewer, canvas } = this;
    canvas.hidden = !this.active || !this.shown || viewer.original;
    $("brush").classList.toggle("used", Boolean(this.mask?.version));
    if (!this.active) return;
    $("brush-undo").disabled = !this.mask.undoable;
    $("brush-clear").disabled = !this.mask.version;
    $("brush-show").setAttribute("aria-pressed", String(this.shown));
    this.point(this.at);
    // The tint is drawn with the next frame.
    this.waiting ||= requestAnimationFrame(() => { this.waiting = 0; if (!canvas.hidden) this.drawTint(); });
  }

  drawTint() {
    const { viewer, canvas } = this;
    const density = window.devicePixelRatio || 1;
    const context = viewer.cover(canvas, density);
    context.setTransform(density, 0, 0, density, viewer.x, viewer.y);
    context.drawImage(this.tint.canvas, 0, 0, viewer.width * viewer.scale, viewer.height * viewer.scale);
  }
}
