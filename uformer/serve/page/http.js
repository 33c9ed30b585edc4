// Requests to the server that sent this page. Every failure is thrown as an RFC 9457 problem: {type, status, detail}.

const ROOT = new URL("..", import.meta.url); // the server may be below a path of another site
const UNREACHABLE = { type: "urn:uformer:unreachable", status: 0, detail: "" };
let token = sessionStorage.getItem("token") ?? "";
let askForToken = async () => "";
let asking = null;

const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  token = given;
  sessionStorage.setItem("token", token);
  history.replaceState(null, "", location.pathname);
}

// `ask(wrong)` returns a promise of the token that a person enters; `wrong`: whether the last one was refused.
export function onTokenNeeded(ask) { askForToken = ask; }

// Sends a request, again with another token if the server wants one, and returns the response.
export async function call(path, options = {}) {
  return withToken(() => fetch(new URL(path, ROOT), { ...options, headers: headers(options.headers) })
    .catch((error) => { throw error.name === "AbortError" ? error : UNREACHABLE; }));
}

// Sends a file or form and reports the share that has been sent, which fetch cannot.
export async function upload(path, body, headersOfBody, onShare, signal) {
  return withToken(() => new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", new URL(path, ROOT));
    for (const [name, value] of Object.entries(headers(headersOfBody))) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && onShare(event.loaded / event.total);
    request.onerror = () => broken().then(reject);
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    request.onload = () => resolve(new Response(request.responseText, {
      status: request.status,
      headers: { "Content-Type": request.getResponseHeader("Content-Type") ?? "", "Retry-After": request.getResponseHeader("Retry-After") ?? "" },
    }));
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    request.send(body);
  }));
}

// Says why an upload ended without a response. Proxies close the connection to a file that they find too large.
async function broken() {
  const alive = await fetch(new URL("healthz", ROOT)).then((response) => response.ok, () => false);
  return alive ? { type: "urn:uformer:upload-cut", status: 0, detail: "" } : UNREACHABLE;
}

async function withToken(send) {
  for (;;) {
    const used = token;
    const response = await send();
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (problem.status !== 401 || !(await renewed(used))) throw problem;
  }
}

function headers(extra = {}) { return token ? { ...extra, Authorization: `Bearer ${token}` } : extra; }

async function renewed(used) {
  if (token !== used) return true;
  asking ??= askForToken(Boolean(used)).finally(() => { asking = null; });
  const entered = await asking;
  if (!entered) return false;
  token = entered;
  sessionStorage.setItem("token", token);
  return true;
}

async function problemOf(response) {
  const retryAfter = Number(response.headers.get("Retry-After")) || 0;
  const ours = (response.headers.get("Content-Type") ?? "").startsWith("application/problem+json");
  const problem = ours ? await response.json().catch(() => ({})) : {}; // a proxy has its own pages for errors
  return { type: `urn:uformer:status-${response.status}`, detail: "", ...problem, status: response.status, retryAfter };
}
