// The photos of this visit, restored one after another.

import * as api from "./client.js";

const OTHER = { "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/tiff": "tif", "image/avif": "avif" };
const sleep = (ms, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => { clearTimeout(timer); reject(new DOMException("cancelled", "AbortError")); }, { once: true });
});

let number = 0;

export class Picture {
  constructor(file) {
    this.key = ++number;
    this.file = file;
    this.name = file.name || "photo.png";
    this.url = URL.createObjectURL(file);
    this.before = this.url; // a version that this browser can show
    this.state = "ready"; // waiting, uploading, queued, running, done, failed
    this.job = null;
    this.problem = null;
    this.restored = null; // {blob, url, shown, seconds}
  }

  get busy() { return ["waiting", "uploading", "queued", "running"].includes(this.state); }

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
    Object.assign(picture, { state: "waiting", problem: null, job: null, upload: 0, query });
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
      if (picture.job) api.forget(picture.job.id);
      const cancelled = problem.name === "AbortError";
      picture.state = cancelled ? "ready" : "failed";
      picture.problem = cancelled ? null : problem;
    }
    this.active = null;
    this.onChange(picture);
    this.pump();
  }

  async restore(picture, signal) {
    const limit = this.limits?.max_bytes;
    if (limit && picture.file.size > limit) throw { type: "urn:uformer:too-many-bytes", detail: `the file has ${picture.file.size.toLocaleString("en")} bytes; the limit is ${limit.toLocaleString("en")}` };
    picture.job = await this.begin(picture, signal);
    while (["queued", "running"].includes(picture.job.state)) {
      picture.state = picture.job.state;
      this.onChange();
      await sleep(picture.job.seconds > 10 ? 600 : 200, signal);
      picture.job = await api.look(picture.job.id, signal);
    }
    this.onChange();
    if (picture.job.state === "failed") throw picture.job.problem;
    if (picture.job.state === "cancelled") throw { type: "urn:uformer:no-such-job", detail: "" };
    const blob = await api.result(picture.job.id, signal);
    const url = URL.createObjectURL(blob);
    picture.restored = { blob, url, shown: url, seconds: picture.job.seconds };
    api.forget(picture.job.id);
  }

  // Uploads the photo. If the server is busy, waits as long as it asks for and tries again.
  async begin(picture, signal) {
    for (let tries = 0; ; tries += 1) {
      picture.state = "uploading";
      this.onChange();
      try {
        return await api.begin(picture.file, picture.query, (share) => { picture.upload = share; this.onChange(); }, signal);
      } catch (problem) {
        if (problem.status !== 429 || tries > 60) throw problem;
        picture.state = "busy";
        for (let left = Math.max(problem.retryAfter, 1); left > 0; left -= 1) {
          picture.wait = left;
          this.onChange();
          await sleep(1000, signal);
        }
      }
    }
  }
}
