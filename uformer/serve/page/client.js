// The client of the API. It throws every failure as an RFC 9457 problem: {type, status, detail}.

const UNREACHABLE = { type: "urn:uformer:unreachable", status: 0, detail: "" };
let token = sessionStorage.getItem("token") ?? "";
let askForToken = async () => "";

const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  token = given;
  sessionStorage.setItem("token", token);
  history.replaceState(null, "", location.pathname);
}

export function onTokenNeeded(ask) { askForToken = ask; }

function headers(extra = {}) { return token ? { ...extra, Authorization: `Bearer ${token}` } : extra; }

async function problemOf(response) {
  const fallback = { type: "urn:uformer:unknown", status: response.status, detail: `the server responded with status ${response.status}` };
  const problem = await response.json().catch(() => fallback);
  return { ...fallback, ...problem, retryAfter: Number(response.headers.get("Retry-After")) || 0 };
}

async function call(path, options = {}) {
  for (;;) {
    const used = token;
    let response;
    try {
      response = await fetch(path, { ...options, headers: headers(options.headers) });
    } catch (error) {
      throw error.name === "AbortError" ? error : UNREACHABLE;
    }
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (problem.status !== 401 || !(await renewed(used))) throw problem;
  }
}

let asking = null;
async function renewed(used) {
  if (token !== used) return true;
  asking ??= askForToken().finally(() => { asking = null; });
  token = (await asking) || token;
  sessionStorage.setItem("token", token);
  return token !== used || !used;
}

export async function about() { return (await call("/v1/models")).json(); }

export async function parameters() {
  const described = await (await call("/openapi.json")).json();
  return new Set(described.paths["/v1/jobs"].post.parameters.map((each) => each.name));
}

function type(file) { return file.type.startsWith("image/") ? file.type : "image/*"; }

// XMLHttpRequest reports upload progress; fetch does not.
function upload(path, file, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    for (const [name, value] of Object.entries(headers({ "Content-Type": type(file) }))) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () => reject(UNREACHABLE);
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    request.onload = () => resolve(new Response(request.responseText, {
      status: request.status,
      headers: { "Retry-After": request.getResponseHeader("Retry-After") ?? "" },
    }));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(file);
  });
}

export async function begin(file, query, onProgress, signal) {
  for (;;) {
    const used = token;
    const response = await upload(`/v1/jobs?${query}`, file, onProgress, signal);
    if (response.ok) return response.json();
    const problem = await problemOf(response);
    if (problem.status !== 401 || !(await renewed(used))) throw problem;
  }
}

export async function look(id, signal) { return (await call(`/v1/jobs/${id}`, { signal })).json(); }

export async function result(id, signal) { return (await call(`/v1/jobs/${id}/result`, { signal })).blob(); }

export function forget(id) { return call(`/v1/jobs/${id}`, { method: "DELETE", keepalive: true }).catch(() => null); }

// Returns an unchanged photo as PNG, for formats that this browser cannot show.
export async function preview(blob) {
  return (await call("/v1/restore?strength=0&format=png", { method: "POST", body: blob, headers: { "Content-Type": type(blob) } })).blob();
}
