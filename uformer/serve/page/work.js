// Restores photos one after another, and makes their files again when controls change.

import * as engine from "./engine.js";
import { outputOf, runOptions } from "./settings.js";

export class Work {
  // `onChange()` is called whenever something changed; `onEnd(photo)` when a photo is restored or failed;
  // `onFile(photo)` when its file is new.
  constructor({ onChange, onEnd, onFile }) {
    Object.assign(this, { onChange, onEnd, onFile, line: [], active: null, limits: null });
  }

  add(photo) {
    if (photo.busy) return;
    photo.abort?.abort();
    Object.assign(photo, { state: "waiting", problem: null, trouble: null, progress: {} });
    this.line.push(photo);
    this.pump();
  }

  cancelAll() {
    for (const photo of this.line.splice(0)) photo.state = photo.result ? "done" : "ready";
    this.active?.abort.abort();
    this.onChange();
  }

  remove(photo) {
    this.line = this.line.filter((each) => each !== photo);
    photo.free();
    this.onChange();
  }

  async pump() {
    if (this.active || !this.line.length) { this.onChange(); return; }
    const photo = this.active = this.line.shift();
    photo.abort = new AbortController();
    try {
      await this.restore(photo, photo.abort.signal);
      photo.state = "done";
    } catch (problem) {
      const cancelled = problem.name === "AbortError";
      photo.state = !cancelled ? "failed" : photo.result ? "done" : "ready";
      photo.problem = cancelled ? null : problem;
    }
    this.active = null;
    this.pump(); // before the change is shown, so that nothing looks idle between two photos
    this.onChange();
    if (photo.state === "failed" || photo.result) this.onEnd(photo);
  }

  // Runs the network, then makes the file.
  async restore(photo, signal) {
    const limit = this.limits?.bytes;
    if (limit && photo.file.size > limit) {
      throw { type: "urn:uformer:too-many-bytes", detail: `the file has ${photo.file.size.toLocaleString("en")} bytes; the limit is ${limit.toLocaleString("en")}` };
    }
    const { settings } = photo;
    const mask = photo.maskNow();
    const asked = runOptions(settings);
    const report = (progress) => { Object.assign(photo, { state: progress.state, progress }); this.onChange(); };
    const first = { controls: settings.controls, output: outputOf(settings, photo.facts) };
    const answer = await engine.run(photo.file, { ...asked, ...first, mask }, report, signal);
    photo.forgetAnswer();
    Object.assign(photo, { answer, asked, facts: answer.facts });
    photo.take(await answer.render(first.controls, first.output, signal, mask), settings, mask);
    this.onFile(photo);
  }

  // Makes the file of a restored photo with its present settings, without a run. If the answer is no longer
  // kept, runs the network again.
  async refresh(photo) {
    if (photo.busy) return;
    photo.abort?.abort(); // a file with earlier settings
    Object.assign(photo, { rendering: false, trouble: null });
    if (photo.current || photo.needsRun) { this.onChange(); return; }
    const { signal } = photo.abort = new AbortController();
    const { settings } = photo;
    const mask = photo.maskNow();
    photo.rendering = true;
    this.onChange();
    try {
      const blob = await photo.answer.render(settings.controls, outputOf(settings, photo.facts), signal, mask);
      photo.take(blob, settings, mask);
      this.onFile(photo);
    } catch (problem) {
      if (problem.name === "AbortError") return; // newer settings are on their way
      if (problem.type === "urn:uformer:no-such-job") {
        photo.forgetAnswer();
        this.add(photo);
      } else photo.trouble = problem;
    } finally {
      if (photo.abort.signal === signal) photo.rendering = false;
      this.onChange();
    }
  }
}
