// The photos of this visit, restored one after another.

import * as engine from "./engine.js";

const OTHER = { "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/tiff": "tif", "image/avif": "avif" };
let number = 0;

export class Picture {
  constructor(file) {
    this.key = ++number;
    this.file = file;
    this.name = file.name || "photo.png";
    this.url = URL.createObjectURL(file);
    this.before = this.url; // a version that this browser can show
    this.state = "ready"; // busy (a state of engine.js), done, failed
    this.answer = null;
    this.progress = {};
    this.problem = null;
    this.restored = null; // {blob, url, shown, seconds}
  }

  get busy() { return ["waiting", "preparing", "loading", "uploading", "busy", "running"].includes(this.state); }

  get target() {
    const dot = this.name.lastIndexOf(".");
    const stem = dot > 0 ? this.name.slice(0, dot) : this.name;
    const own = dot > 0 ? this.name.slice(dot + 1) : "";
    const kind = OTHER[this.restored?.blob.type];
    const same = kind === { jpeg: "jpg", tiff: "tif" }[own.toLowerCase()] || kind === own.toLowerCase();
    return `${stem}.restored.${same || !kind ? own : kind}`;
  }

  forgetRestored() {
    if (this.restored) for (const url of new Set([this.restored.url, this.restored.shown])) URL.revokeObjectURL(url);
    this.restored = null;
  }

  free() {
    this.abort?.abort();
    this.forgetRestored();
    for (const url of new Set([this.url, this.before])) URL.revokeObjectURL(url);
  }
}

export class Work {
  constructor(onChange) { this.onChange = onChange; this.line = []; this.active = null; this.limits = null; }

  add(picture, query) {
    picture.forgetRestored();
    Object.assign(picture, { state: "waiting", problem: null, answer: null, progress: {}, query });
    this.line.push(picture);
    this.pump();
  }

  cancelAll() {
    for (const picture of this.line.splice(0)) picture.state = "ready";
    this.active?.abort.abort();
    this.onChange();
  }

  remove(picture) {
    this.line = this.line.filter((each) => each !== picture);
    picture.free();
    this.onChange();
  }

  async pump() {
    if (this.active || !this.line.length) { this.onChange(); return; }
    const picture = this.active = this.line.shift();
    picture.abort = new AbortController();
    try {
      await this.restore(picture, picture.abort.signal);
      picture.state = "done";
    } catch (problem) {
      const cancelled = problem.name === "AbortError";
      picture.state = cancelled ? "ready" : "failed";
      picture.problem = cancelled ? null : problem;
    }
    this.active = null;
    this.onChange(picture);
    this.pump();
  }

  async restore(picture, signal) {
    const { strength, format, metadata, ...options } = Object.fromEntries(new URLSearchParams(picture.query));
    const limit = this.limits?.bytes;
    if (limit && picture.file.size > limit) throw { type: "urn:uformer:too-many-bytes", detail: `the file has ${picture.file.size.toLocaleString("en")} bytes; the limit is ${limit.toLocaleString("en")}` };
    const report = (progress) => { Object.assign(picture, { state: progress.state, progress }); this.onChange(); };
    picture.answer = await engine.run(picture.file, options, report, signal);
    const blob = await picture.answer.render({ strength }, { format, metadata }, signal);
    const url = URL.createObjectURL(blob);
    picture.restored = { blob, url, shown: url, seconds: picture.answer.facts.seconds };
  }
}
