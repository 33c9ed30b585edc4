// The networks of the site, run by onnxruntime-web: with WebGPU, or with threads in WebAssembly.

import { Problem } from "./containers.js";

const SIDE = 128; // of the probe, see uformer/export/browser.py
const STEP = 997;
const TOLERANCE = 2 / 255;
const MOST_THREADS = 8;
const TILES = { webgpu: 384, wasm: 256 };

export class Network {
  // `base`: address of the site. `site`: site.json. `wanted`: "webgpu", "wasm" or "" for the best.
  constructor(base, site, wanted) {
    Object.assign(this, { base, site, wanted, provider: null, notes: [], task: "", session: null });
  }

  get tile() { return TILES[this.provider]; }

  // Says what computes, in a sentence.
  get described() {
    if (this.provider === "webgpu") return "Restored by the graphics card (WebGPU)";
    const threads = this.runtime.env.wasm.numThreads;
    return `Restored by the processor (WebAssembly, ${threads === 1 ? "one thread" : `${threads} threads`})`;
  }

  // Loads the runtime and the weights for a task. `progress(share)`: of the weights' download.
  async load(task, progress) {
    this.runtime ??= await this.start();
    if (this.task === task) return;
    const model = this.site.models.find((each) => each.task === task);
    if (!model) throw new Problem("options", `this site has no weights for ${task}`);
    const data = await download(new URL(model.file, this.base), model.bytes, progress);
    const old = this.session; // one network at a time: memory
    Object.assign(this, { task: "", session: null });
    await old?.release();
    this.session = await this.checked(model, data);
    this.task = task;
  }

  async start() {
    const folder = new URL(`${this.site.runtime.folder}/`, this.base);
    const runtime = await import(new URL("ort.webgpu.min.mjs", folder).href);
    runtime.env.wasm.wasmPaths = folder.href;
    runtime.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS) : 1;
    runtime.env.logLevel = "fatal";
    this.provider = this.wanted || ((await hasGraphicsCard()) ? "webgpu" : "wasm");
    return runtime;
  }

  // Returns a session. A graphics card that answers wrongly, or not at all, is not used again.
  async checked(model, data) {
    if (this.provider === "webgpu") {
      try {
        const session = await this.create(data);
        const answer = await this.infer(session, probe(), SIDE, SIDE);
        const error = model.answer.reduce((most, wanted, at) => Math.max(most, Math.abs(answer[at * STEP] - wanted)), 0);
        if (error <= TOLERANCE) return session;
        this.notes.push(`The graphics card computes wrong values (off by ${error.toPrecision(2)}), so the processor does the work`);
        await session.release();
      } catch (error) {
        this.notes.push(`The graphics card cannot be used (${firstLine(error)}), so the processor does the work`);
      }
      this.provider = "wasm";
    }
    return this.create(data);
  }

  create(data) {
    return this.runtime.InferenceSession.create(data, { executionProviders: [this.provider], logSeverityLevel: 4 });
  }

  // Returns the planes of a tile restored with the network that was loaded last, not clipped.
  async run(values, rows, columns) {
    const restored = await this.infer(this.session, values, rows, columns);
    if (restored.some((each) => !Number.isFinite(each))) {
      throw new Problem("not-restored", "the network returns values that are not finite");
    }
    return restored;
  }

  async infer(session, values, rows, columns) {
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

async function download(address, size, progress) {
  let response;
  try {
    response = await fetch(address);
  } catch {
    throw new Problem("unreachable", "the weights cannot be downloaded, and they are not stored here yet");
  }
  if (!response.ok) throw new Problem("not-ready", `${address.pathname}: the site responds with status ${response.status}`);
  const data = new Uint8Array(size);
  let at = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    if (at + value.length <= size) data.set(value, at);
    at += value.length;
    progress(Math.min(at / size, 1));
  }
  if (at !== size) throw new Problem("not-ready", `the weights have ${at} bytes instead of ${size}; reload the page`);
  return data;
}

export function probe() {
  return Float32Array.from({ length: 3 * SIDE * SIDE }, (_, at) => ((31 * at * at + 17 * at) % 256) / 255);
}

function firstLine(error) { return String(error?.message ?? error).split("\n")[0].slice(0, 160); }
