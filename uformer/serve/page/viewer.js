// A photo before and after, separated by a divider or side by side. Zoom and pan work with mouse, touch and keyboard.

import { listen } from "./gestures.js";

const MOST = 32; // maximum zoom, in device pixels per photo pixel
const GAP = 2; // CSS pixels between two panes

export class Viewer {
  // `onZoom(text)` gets the zoom in words; `onDraw()` is called after each change of what is visible.
  constructor(root, { onZoom, onDraw }) {
    Object.assign(this, { root, onZoom, onDraw });
    this.before = root.querySelector("#before");
    this.after = root.querySelector("#after");
    this.beforeLayer = root.querySelector("#before-layer");
    this.layer = root.querySelector("#after-layer");
    this.divider = root.querySelector("#divider");
    this.chips = root.querySelectorAll(".chip");
    this.share = 0.5;
    this.beside = false; // whether the two are side by side
    this.original = false; // whether only the photo before is shown
    this.compared = false; // whether there is a photo after
    this.brush = null; // paints instead of panning; see brush.js
    this.reset();
    listen(this);
    new ResizeObserver(() => (this.fitting ? this.fit() : this.draw())).observe(root);
  }

  reset() { this.width = 0; this.height = 0; this.scale = 1; this.x = 0; this.y = 0; this.fitting = true; }

  async show(beforeUrl, afterUrl, alt) {
    await Promise.all([load(this.before, beforeUrl), afterUrl && load(this.after, afterUrl)]);
    this.before.hidden = false;
    this.before.alt = `${alt}, before`;
    this.after.alt = `${alt}, after`;
    const changed = this.width !== this.before.naturalWidth || this.height !== this.before.naturalHeight;
    this.width = this.before.naturalWidth;
    this.height = this.before.naturalHeight;
    if (!afterUrl) this.after.removeAttribute("src");
    this.compared = Boolean(afterUrl);
    if (changed || this.fitting) this.fit(); else this.draw();
  }

  // Shows nothing, because there is no photo that can be shown.
  clear() {
    this.reset();
    for (const image of [this.before, this.after]) image.removeAttribute("src");
    this.before.hidden = true;
    this.compared = false;
    this.draw();
  }

  unit() { return 1 / (window.devicePixelRatio || 1); } // the scale at which one photo pixel covers one device pixel

  get both() { return this.beside && this.compared && !this.brush; }

  get pane() { return this.both ? Math.floor((this.root.clientWidth - GAP) / 2) : this.root.clientWidth; } // its width

  get second() { return this.both ? this.pane + GAP : 0; } // left side of the pane with the photo after

  fitScale() { return Math.min(this.pane / this.width, this.root.clientHeight / this.height, this.unit() * 8); }

  fit() {
    if (!this.width) return;
    this.scale = this.fitScale();
    this.x = (this.pane - this.width * this.scale) / 2;
    this.y = (this.root.clientHeight - this.height * this.scale) / 2;
    this.fitting = true;
    this.draw();
  }

  // Zooms to a scale and keeps the point (x, y) of the pane in place.
  zoomTo(scale, x = this.pane / 2, y = this.root.clientHeight / 2) {
    if (!this.width) return;
    const least = Math.min(this.fitScale(), this.unit());
    const next = Math.min(Math.max(scale, least), this.unit() * MOST);
    this.x = x - ((x - this.x) * next) / this.scale;
    this.y = y - ((y - this.y) * next) / this.scale;
    this.scale = next;
    this.fitting = Math.abs(next - this.fitScale()) < 1e-6;
    this.draw();
  }

  zoomBy(factor, x, y) { this.zoomTo(this.scale * factor, x, y); }

  toggle(x, y) { if (this.fitting) this.zoomTo(this.unit(), x, y); else this.fit(); }

  pan(dx, dy) { this.x += dx; this.y += dy; this.fitting = false; this.draw(); }

  setShare(share) { this.share = Math.min(Math.max(share, 0), 1); this.draw(); }

  setBeside(beside) { this.beside = beside; if (this.fitting) this.fit(); else this.draw(); }

  // Makes a canvas as large as a pane, and empty. Returns its context. `density`: device pixels per CSS pixel.
  cover(canvas, density) {
    canvas.width = Math.round(this.pane * density);
    canvas.height = Math.round(this.root.clientHeight * density);
    Object.assign(canvas.style, { width: `${canvas.width / density}px`, height: `${canvas.height / density}px` });
    return canvas.getContext("2d");
  }

  // With a brush, only the photo after is shown.
  setBrush(brush) { this.brush = brush; this.root.classList.toggle("painted", Boolean(brush)); this.setBeside(this.beside); }

  setOriginal(original) { this.original = original && this.compared && !this.both; this.draw(); }

  draw() {
    const { clientHeight } = this.root;
    const { both, pane, second } = this;
    const wide = this.width * this.scale;
    const high = this.height * this.scale;
    const onGrid = (at) => Math.round(at / this.unit()) * this.unit(); // whole device pixels keep both versions aligned
    this.x = onGrid(wide <= pane ? (pane - wide) / 2 : Math.min(0, Math.max(pane - wide, this.x)));
    this.y = onGrid(high <= clientHeight ? (clientHeight - high) / 2 : Math.min(0, Math.max(clientHeight - high, this.y)));
    const shown = this.scale / this.unit();
    for (const [image, left] of [[this.before, 0], [this.after, second]]) {
      image.style.width = `${this.width}px`;
      image.style.height = `${this.height}px`;
      image.style.transform = `translate(${left + this.x}px, ${this.y}px) scale(${this.scale})`;
      image.classList.toggle("crisp", shown >= 2);
    }
    // The divider stays within the visible part of the photo.
    const left = Math.max(this.x, 0);
    const right = Math.min(this.x + wide, pane);
    const at = this.brush ? 0 : both ? second : left + (right - left) * this.share;
    this.layer.style.clipPath = `inset(0 0 0 ${at}px)`;
    this.beforeLayer.style.clipPath = both ? `inset(0 ${this.root.clientWidth - pane}px 0 0)` : "none";
    this.root.style.setProperty("--second", `${second}px`);
    this.layer.hidden = !this.compared || this.original;
    this.divider.hidden = this.layer.hidden || both || Boolean(this.brush);
    this.root.classList.toggle("beside", both);
    for (const chip of this.chips) chip.hidden = (chip.classList.contains("right") ? this.layer.hidden : !this.compared) || Boolean(this.brush);
    this.divider.style.left = `${at}px`;
    const percent = Math.round(this.share * 100);
    this.divider.setAttribute("aria-valuenow", percent);
    this.divider.setAttribute("aria-valuetext", `${percent}% before, ${100 - percent}% after`);
    this.span = [left, right];
    this.onZoom(this.fitting ? "Fit" : `${Math.round(shown * 100)}%`);
    this.onDraw();
  }
}

async function load(image, url) {
  if (image.getAttribute("src") !== url) image.src = url;
  await image.decode();
}
