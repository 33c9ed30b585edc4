// Stores the site for offline use, and adds the headers that browsers ask for before they allow threads.
// The line above, which `uformer web` writes, lists the files of the site.

const PAGE = `uformer-page-${SITE.version}`;
const LARGE = "uformer-large"; // their names contain hashes, so a new version of the site fetches only what changed
const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; style-src 'self'; "
    + "img-src 'self' blob: data:; connect-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
};
const address = (name) => new URL(name, registration.scope).href;
const small = new Set(SITE.small.map(address));
const large = new Set(SITE.large.map(address));

addEventListener("install", (event) => event.waitUntil(storePage()));
addEventListener("activate", (event) => event.waitUntil(takeOver()));
addEventListener("message", (event) => { if (event.data === "keep") event.waitUntil(storeLarge()); });
addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && new URL(request.url).origin === location.origin) event.respondWith(answer(request));
});

async function storePage() {
  const cache = await caches.open(PAGE);
  await cache.addAll([...small].map((each) => new Request(each, { cache: "no-cache" })));
}

async function takeOver() {
  for (const name of await caches.keys()) {
    if (name.startsWith("uformer-page-") && name !== PAGE) await caches.delete(name);
  }
  const cache = await caches.open(LARGE);
  for (const request of await cache.keys()) if (!large.has(request.url)) await cache.delete(request);
  await clients.claim();
}

async function storeLarge() {
  const cache = await caches.open(LARGE);
  for (const each of large) {
    if (!(await cache.match(each))) await cache.add(each).catch(() => {}); // the next visit tries again
  }
}

async function answer(request) {
  const url = new URL(request.url);
  url.search = url.hash = "";
  const name = url.href.replace(/index\.html$/, "");
  const cache = large.has(name) ? LARGE : small.has(name) ? PAGE : null;
  if (!cache) return fetch(request);
  const stored = await (await caches.open(cache)).match(name);
  const response = stored ?? (await fetch(name));
  if (!stored && response.ok && cache === LARGE) {
    const copy = response.clone();
    caches.open(LARGE).then((open) => open.put(name, copy)).catch(() => {}); // the disk may be full
  }
  const headers = new Headers(response.headers);
  for (const [key, value] of Object.entries(HEADERS)) headers.set(key, value);
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
