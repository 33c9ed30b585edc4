// A photo before and after, separated by a divider. Zoom and pan work with mouse, touch and keyboard.

const MOST = 32; // maximum zoom, in device pixels per photo pixel

export class Viewer {
  constructor(root, { onZoom }) {
    this.root = root;
    this.before = root.querySelector("#before");
    this.after = root.querySelector("#after");
    this.layer = root.querySelector("#after-layer");
    this.divider = root.querySelector("#divider");
    this.chips = root.querySelectorAll(".chip");
    this.onZoom = onZoom;
    this.pointers = new Map();
    this.share = 0.5;
    this.reset();
    this.listen();
    new ResizeObserver(() => (this.fitting ? this.fit() : this.draw())).observe(root);
  }

  reset() { this.width = 0; this.height = 0; this.scale = 1; this.x = 0; this.y = 0; this.fitting = true; }

  async show(beforeUrl, afterUrl, alt) {
    await load(this.before, beforeUrl);
    this.before.hidden = false;
    this.before.alt = `${alt}, before`;
    this.after.alt = `${alt}, after`;
    const changed = this.width !== this.before.naturalWidth || this.height !== this.before.naturalHeight;
    this.width = this.before.naturalWidth;
    this.height = this.before.naturalHeight;
    if (afterUrl) await load(this.after, afterUrl); else this.after.removeAttribute("src");
    const compared = Boolean(afterUrl);
    this.layer.hidden = this.divider.hidden = !compared;
    this.chips.forEach((chip) => { chip.hidden = !compared; });
    if (changed || this.fitting) this.fit(); else this.draw();
  }

  // Shows nothing, because there is no photo that can be shown.
  clear() {
    this.reset();
    for (const image of [this.before, this.after]) image.removeAttribute("src");
    this.before.hidden = true;
    this.layer.hidden = this.divider.hidden = true;
    this.chips.forEach((chip) => { chip.hidden = true; });
  }

  unit() { return 1 / (window.devicePixelRatio || 1); } // the scale at which one photo pixel covers one device pixel

  fitScale() {
    const { clientWidth, clientHeight } = this.root;
    return Math.min(clientWidth / this.width, clientHeight / this.height, this.unit() * 8);
  }

  fit() {
    if (!this.width) return;
    this.scale = this.fitScale();
    this.x = (this.root.clientWidth - this.width * this.scale) / 2;
    this.y = (this.root.clientHeight - this.height * this.scale) / 2;
    this.fitting = true;
    this.draw();
  }

  // Zooms to a scale and keeps the point (x, y) of the viewer in place.
  zoomTo(scale, x = this.root.clientWidth / 2, y = this.root.clientHeight / 2) {
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

  draw() {
    const { clientWidth, clientHeight } = this.root;
    const wide = this.width * this.scale;
    const high = this.height * this.scale;
    this.x = wide <= clientWidth ? (clientWidth - wide) / 2 : Math.min(0, Math.max(clientWidth - wide, this.x));
    this.y = high <= clientHeight ? (clientHeight - high) / 2 : Math.min(0, Math.max(clientHeight - high, this.y));
    const shown = this.scale / this.unit();
    for (const image of [this.before, this.after]) {
      image.style.width = `${this.width}px`;
      image.style.height = `${this.height}px`;
      image.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
      image.classList.toggle("crisp", shown >= 2);
    }
    // The divider stays within the visible part of the photo.
    const left = Math.max(this.x, 0);
    const right = Math.min(this.x + wide, clientWidth);
    const at = left + (right - left) * this.share;
    this.layer.style.clipPath = `inset(0 0 0 ${at}px)`;
    this.divider.style.left = `${at}px`;
    const percent = Math.round(this.share * 100);
    this.divider.setAttribute("aria-valuenow", percent);
    this.divider.setAttribute("aria-valuetext", `${percent}% before, ${100 - percent}% after`);
    this.span = [left, right];
    this.onZoom(this.fitting ? "Fit" : `${Math.round(shown * 100)}%`);
  }

  listen() {
    const { root, divider } = this;
    const place = (event) => { const box = root.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
    const ours = (event) => !event.target.closest("button, .notice, .zoom");

    root.addEventListener("pointerdown", (event) => {
      if (!ours(event) || event.button) return;
      const [x, y] = place(event);
      this.pointers.set(event.pointerId, { x, y, divides: Boolean(event.target.closest(".divider")) });
      root.setPointerCapture(event.pointerId);
      root.classList.add("dragging");
      (event.target.closest(".divider") ?? root).focus({ preventScroll: true });
      event.preventDefault();
    });
    root.addEventListener("pointermove", (event) => {
      const last = this.pointers.get(event.pointerId);
      if (!last) return;
      const [x, y] = place(event);
      if (last.divides) {
        const [left, right] = this.span;
        this.setShare((x - left) / Math.max(right - left, 1));
      } else if (this.pointers.size === 2) {
        const other = [...this.pointers.entries()].find(([id]) => id !== event.pointerId)[1];
        const was = Math.hypot(last.x - other.x, last.y - other.y);
        const is = Math.hypot(x - other.x, y - other.y);
        this.zoomBy(is / Math.max(was, 1), (x + other.x) / 2, (y + other.y) / 2);
        this.pan((x - last.x) / 2, (y - last.y) / 2);
      } else {
        this.pan(x - last.x, y - last.y);
      }
      this.pointers.set(event.pointerId, { ...last, x, y });
    });
    const end = (event) => {
      this.pointers.delete(event.pointerId);
      if (!this.pointers.size) root.classList.remove("dragging");
    };
    root.addEventListener("pointerup", end);
    root.addEventListener("pointercancel", end);
    root.addEventListener("dblclick", (event) => ours(event) && this.toggle(...place(event)));
    root.addEventListener("wheel", (event) => {
      if (!this.width) return;
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0022)), ...place(event));
    }, { passive: false });

    divider.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 0.1 : 0.02;
      const to = { ArrowLeft: this.share - step, ArrowDown: this.share - step, ArrowRight: this.share + step, ArrowUp: this.share + step,
        PageDown: this.share - 0.1, PageUp: this.share + 0.1, Home: 0, End: 1 }[event.key];
      if (to === undefined) return;
      this.setShare(to);
      event.preventDefault();
      event.stopPropagation();
    });
    root.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("button")) return;
      const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
      const acts = { "+": () => this.zoomBy(1.25), "=": () => this.zoomBy(1.25), "-": () => this.zoomBy(0.8), "0": () => this.fit(), "1": () => this.zoomTo(this.unit()) };
      if (moves[event.key]) this.pan(...moves[event.key]);
      else if (acts[event.key]) acts[event.key]();
      else return;
      event.preventDefault();
    });
  }
}

async function load(image, url) {
  if (image.getAttribute("src") !== url) image.src = url;
  await image.decode();
}
