// A photo of this visit, its settings, and what was made of it.

import { FORMATS, outputOf, runOptions, same } from "./settings.js";

const SUFFIXES = { "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/tiff": "tif", "image/avif": "avif" };
const LIKE = { jpeg: "jpg", tiff: "tif" };
const BUSY = new Set(["waiting", "preparing", "uploading", "loading", "busy", "running"]);

let number = 0;

export class Photo {
  // `folder`: where the file lay in a dropped folder; `sample`: whether the photo is one of the page's own.
  constructor(file, shared, { folder = "", sample = false } = {}) {
    Object.assign(this, { key: ++number, file, shared, folder, sample });
    this.name = file.name || "photo.png";
    this.url = URL.createObjectURL(file);
    this.before = this.url; // a version that this browser can show
    this.state = "ready"; // waiting, a state of engine.js, done or failed
    this.progress = {};
    this.problem = null;
    this.unseen = null; // the problem with showing a photo that can be restored all the same
    this.own = null; // settings of this photo alone
    this.mask = null; // what the brush painted
    this.answer = null; // the engine's answer, and the options that it was asked with
    this.asked = null;
    this.facts = null; // width, height, format, ... of the original, once the engine has read it
    this.result = null; // {blob, url, shown, settings, version, saved}: the file to save; version: that of the mask
    this.rendering = false;
    this.trouble = null; // why the file cannot be made with these settings
  }

  get settings() { return this.own ?? this.shared.settings; }

  get busy() { return BUSY.has(this.state); }

  get suffix() { return this.name.includes(".") ? this.name.split(".").pop().toLowerCase() : ""; }

  // Whether the answer can be used for other controls.
  get held() { return Boolean(this.answer?.held); }

  // Whether the network has to run before the file can be what the settings ask for.
  get needsRun() {
    if (!this.result || !same(this.asked, runOptions(this.settings))) return true;
    return !this.held && !this.matches;
  }

  // Whether the file is what the settings ask for.
  get current() { return !this.needsRun && this.matches; }

  get matches() {
    const { settings: made } = this.result;
    return this.result.version === this.version && same(made.controls, this.settings.controls) && same(outputOf(made, this.facts), outputOf(this.settings, this.facts));
  }

  // Returns a copy of the mask to make the file with; null for none.
  maskNow() { return this.version ? this.mask.copy() : null; }

  get version() { return this.mask?.version ?? 0; }

  get target() {
    const dot = this.name.lastIndexOf(".");
    const stem = dot > 0 ? this.name.slice(0, dot) : this.name;
    const own = dot > 0 ? this.name.slice(dot + 1) : "";
    const kind = SUFFIXES[this.result?.blob.type];
    const keeps = !kind || kind === (LIKE[own.toLowerCase()] ?? own.toLowerCase());
    return `${stem}.restored.${keeps ? own : kind}`;
  }

  get format() { return FORMATS[SUFFIXES[this.result?.blob.type]] ?? ""; }

  // Takes a file that was made with these settings and a copy of the mask.
  take(blob, settings, mask) {
    this.forgetResult();
    const url = URL.createObjectURL(blob);
    this.result = { blob, url, shown: url, settings, version: mask?.version ?? 0, saved: false };
  }

  forgetResult() {
    if (this.result) for (const url of new Set([this.result.url, this.result.shown])) URL.revokeObjectURL(url);
    this.result = null;
  }

  forgetAnswer() { this.answer?.close(); this.answer = null; }

  free() {
    this.abort?.abort();
    this.forgetAnswer();
    this.forgetResult();
    for (const url of new Set([this.url, this.before])) URL.revokeObjectURL(url);
  }
}
