// Shows what the controls do while they move: blends the visible part of a photo in the browser and draws it
// over the last file, which does not have these controls yet.

import { blend, REACH, textureOf } from "./blend.js";
import { sharesOf } from "./mask.js";

export class Live {
  // `viewer` says what is visible, and calls `draw` when that changes.
  constructor(canvas, viewer) {
    Object.assign(this, { canvas, viewer, images: null, owner: null, controls: null, mask: null, part: null, waiting: 0 });
    this.hide();
  }

  // Loads what is needed to blend an answer. Does nothing if it is loaded or cannot be.
  async load(answer) {
    if (this.owner === answer) return;
    this.forget();
    this.owner = answer;
    if (!answer?.held) return;
    const images = await answer.images().catch(() => null); // without it, the sliders still change the file
    if (this.owner !== answer) { images?.before.close(); images?.after.close(); return; }
    this.images = images;
    this.draw();
  }

  forget() {
    this.images?.before.close();
    this.images?.after.close();
    Object.assign(this, { images: null, owner: null, part: null });
    this.hide();
  }

  show(controls, mask) {
    Object.assign(this, { controls, mask });
    this.draw();
  }

  hide() {
    this.controls = null;
    this.canvas.hidden = true;
  }

  // Draws with the next frame.
  draw() {
    if (!this.controls || !this.images || this.waiting) return;
    this.waiting = requestAnimationFrame(() => { this.waiting = 0; if (this.controls && this.images) this.paint(); });
  }

  paint() {
    const density = window.devicePixelRatio || 1;
    const area = visible(this.viewer, this.images.before, density);
    if (!area) return;
    const name = JSON.stringify(area);
    if (this.part?.name !== name) this.part = { name, ...this.cut(area) };
    const { part, canvas } = this;
    const shrunk = Math.min(area.width / area.columns, 1); // shrinking averages grain and fine texture
    const controls = { ...this.controls, grain: this.controls.grain * shrunk, detail: this.controls.detail * shrunk };
    if (controls.detail) part.texture ??= textureOf(part.before.data, part.after.data, area.width, area.height);
    blend(part.before.data, part.after.data, area.width, area.height, controls,
      { mask: this.mask && sharesOf(this.mask, this.images.before, area), texture: part.texture, left: area.left, top: area.top, out: part.out.data });
    part.context.putImageData(part.out, 0, 0);
    const context = this.viewer.cover(canvas, density);
    context.imageSmoothingEnabled = this.viewer.scale * density < 2;
    context.drawImage(part.context.canvas, ...area.place.map((each) => each * density));
    canvas.hidden = false;
  }

  // Returns the pixels of a part of both images: at most as many as the screen shows, at most those of the photo.
  cut({ left, top, columns, rows, width, height }) {
    const [before, after] = [this.images.before, this.images.after].map((image) => {
      const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
      context.imageSmoothingEnabled = width < columns;
      context.imageSmoothingQuality = "high";
      context.drawImage(image, left, top, columns, rows, 0, 0, width, height);
      return context.getImageData(0, 0, width, height);
    });
    const context = new OffscreenCanvas(width, height).getContext("2d");
    return { before, after, context, out: context.createImageData(width, height), texture: null };
  }
}

// Returns the visible part of a photo in its own pixels, how many pixels to blend for it, and its place in the
// pane (left, top, width, height in CSS pixels). The part has a margin, because pixels influence others nearby.
function visible({ x, y, scale, pane, root }, image, density) {
  const left = Math.max(Math.floor(-x / scale) - REACH, 0);
  const top = Math.max(Math.floor(-y / scale) - REACH, 0);
  const right = Math.min(Math.ceil((pane - x) / scale) + REACH, image.width);
  const bottom = Math.min(Math.ceil((root.clientHeight - y) / scale) + REACH, image.height);
  const [columns, rows] = [right - left, bottom - top];
  if (!(columns > 0 && rows > 0)) return null;
  const shown = Math.min(scale * density, 1);
  const [width, height] = [Math.max(Math.round(columns * shown), 1), Math.max(Math.round(rows * shown), 1)];
  return { left, top, columns, rows, width, height, place: [x + left * scale, y + top * scale, columns * scale, rows * scale] };
}
