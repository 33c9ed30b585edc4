// The networks of the site, run by onnxruntime-web: with WebGPU, or with threads in WebAssembly.

import { Problem } from "./containers.js";

const STEP = 997; // between the samples of a probe's answer, see uformer/export/browser.py
const TOLERANCE = 2 / 255;
const MOST_THREADS = 8;
const TILES = { webgpu: 384, wasm: 256 };

export class Network {
  // How long a graphics card may take for the probe or a tile, in milliseconds. WebAssembly takes seconds.
  static patience = 60_000;

  // `base`: address of the site. `site`: site.json. `wanted`: "webgpu", "wasm" or "" for the best.
  constructor(base, site, wanted) {
    Object.assign(this, { base, site, wanted, provider: null, model: null, session: null, lost: false, onLost: null });
  }

  get tile() { return TILES[this.provider]; }

  get multiple() { return this.model.multiple; }

  // Says what computes, in a sentence.
  get described() {
    if (this.provider === "webgpu") return "Restored by the graphics card (WebGPU)";
    const threads = this.runtime.env.wasm.numThreads;
    return `Restored by the processor (WebAssembly, ${threads === 1 ? "one thread" : `${threads} threads`})`;
  }

  // Loads the runtime and the weights for a task. `progress(share)`: of the weights' download. Throws the problem
  // "graphics-card" if the graphics card answers wrongly, late or not at all, and so does `run`. Its runtime may
  // be unusable then, so the engine starts another worker, which uses WebAssembly.
  async load(task, progress) {
    this.runtime ??= await this.start();
    if (this.model?.task === task) return;
    const model = this.site.models.find((each) => each.task === task);
    if (!model) throw new Problem("options", `this site has no weights for ${task}`);
    const data = await this.download(model.file, progress);
    const old = this.session; // one network at a time: memory
    Object.assign(this, { model: null, session: null });
    this.session = await this.guarded(async () => {
      await old?.release();
      return this.checked(model, data);
    });
    this.model = model;
  }

  async start() {
    const folder = new URL(`${this.site.runtime.folder}/`, this.base);
    const runtime = await import(new URL("ort.webgpu.min.mjs", folder).href);
    runtime.env.wasm.wasmPaths = folder.href;
    runtime.env.wasm.wasmBinary = await this.download(this.site.runtime.binary, () => {});
    runtime.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS) : 1;
    runtime.env.logLevel = "fatal";
    this.provider = this.wanted || ((await hasGraphicsCard()) ? "webgpu" : "wasm");
    return runtime;
  }

  // Returns a session; that of a graphics card has restored the probe.
  async checked({ multiple, answer }, data) {
    const options = { executionProviders: [this.provider], logSeverityLevel: 4 };
    const session = await this.runtime.InferenceSession.create(data, options);
    if (this.provider === "wasm") return session;
    (await this.runtime.env.webgpu.device).lost.then(() => { this.lost = true; this.onLost?.(); });
    const restored = await this.infer(session, probe(multiple), multiple, multiple);
    const errors = answer.map((wanted, at) => Math.abs(restored[at * STEP] - wanted));
    if (!errors.every(Number.isFinite)) throw unusable("computes values that are not finite");
    const error = Math.max(...errors);
    if (error > TOLERANCE) throw unusable(`computes wrong values (off by ${error.toPrecision(2)})`);
    return session;
  }

  // Returns the planes of a tile restored with the network that was loaded last, not clipped.
  async run(values, rows, columns) {
    const restored = await this.guarded(() => this.infer(this.session, values, rows, columns));
    if (restored.every(Number.isFinite)) return restored;
    if (this.provider === "webgpu") throw unusable("computes values that are not finite");
    throw new Problem("not-restored", "the network returns values that are not finite");
  }

  // Returns what `work` returns. What goes wrong on a graphics card becomes the problem "graphics-card".
  async guarded(work) {
    if (this.provider === "wasm") return work();
    try {
      return await work();
    } catch (error) {
      throw error instanceof Problem ? error : unusable(`cannot be used (${firstLine(error)})`);
    }
  }

  // Runs a session. A graphics card has limited time, except where the address of the page asks for it.
  async infer(session, values, rows, columns) {
    if (this.lost) throw unusable("stopped working");
    const limited = this.provider === "webgpu" && !this.wanted;
    let timer;
    const failed = new Promise((_, reject) => {
      this.onLost = () => reject(unusable("stopped working"));
      if (limited) timer = setTimeout(reject, Network.patience, unusable(`does not answer within ${Network.patience / 1000} seconds`));
    });
    try {
      return await Promise.race([failed, this.answer(session, values, rows, columns)]);
    } finally {
      clearTimeout(timer);
    }
  }

  // Returns a compressed file of the site, unpacked. `progress(share)`: of its download.
  async download(file, progress) {
    const [packed, unpacked] = this.site.packed[file];
    let response;
    try {
      response = await fetch(new URL(file, this.base));
    } catch {
      throw new Problem("unreachable", "the network cannot be downloaded, and it is not stored here yet");
    }
    if (!response.ok) throw new Problem("not-ready", `${file}: the site responds with status ${response.status}`);
    const parts = [];
    let at = 0;
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      at += value.length;
      progress(Math.min(at / packed, 1));
    }
    const data = await unpack(new Blob(parts)).catch(() => null);
    if (data?.length !== unpacked) throw new Problem("not-ready", `${file}: the download is incomplete; reload the page`);
    return data;
  }

  async answer(session, values, rows, columns) {
    const image = new this.runtime.Tensor("float32", values, [1, 3, rows, columns]);
    const { restored } = await session.run({ image });
    const answer = Float32Array.from(await restored.getData());
    restored.dispose();
    return answer;
  }
}

// A software renderer counts as none: WebAssembly is faster.
async function hasGraphicsCard() {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" }).catch(() => null);
  return Boolean(adapter) && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter);
}

// Browsers have already unpacked a file if the web server said that it is compressed.
async function unpack(blob) {
  const [first, second] = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
  const packed = first === 0x1f && second === 0x8b; // gzip
  const stream = packed ? blob.stream().pipeThrough(new DecompressionStream("gzip")) : blob.stream();
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export function probe(side) {
  return Float32Array.from({ length: 3 * side * side }, (_, at) => ((31 * at * at + 17 * at) % 256) / 255);
}

function unusable(why) { return new Problem("graphics-card", `The graphics card ${why}, so the processor does the work`); }

function firstLine(error) { return String(error?.message ?? error).split("\n")[0].slice(0, 160); }
