// Text for people: sizes, times, and a title and help for every error.

// Returns words that stay on one line.
export function unbroken(words) { return words.replaceAll(" ", "\u00a0"); }

export function bytes(count) {
  const units = [count === 1 ? "byte" : "bytes", "kB", "MB", "GB"];
  let unit = 0;
  while (count >= 1000 && unit < 3) { count /= 1000; unit += 1; }
  return unbroken(`${count < 10 && unit ? count.toFixed(1) : Math.round(count)} ${units[unit]}`);
}

export function pixels(count) {
  return unbroken(count >= 1e6 ? `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} megapixels` : `${count.toLocaleString("en")} pixels`);
}

export function duration(seconds) {
  if (seconds < 1.5) return "a moment";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

const TITLES = {
  "not-a-picture": "This file cannot be read as a photo",
  "cannot-read": "Photos of this kind cannot be read here",
  "too-many-bytes": "This file is too large",
  "status-413": "This file is too large",
  "upload-cut": "The upload was cut off",
  "upload-stopped": "The upload was too slow",
  "too-many-pixels": "This photo is too large",
  "media-type": "This file type is not supported",
  "stack": "This file is not shown here",
  "options": "These settings cannot be used",
  "not-restored": "This photo could not be restored",
  "not-acceptable": "This format is not available",
  "queue-full": "The server is busy",
  "uploads-full": "The server is busy",
  "results-full": "The server is busy",
  "not-ready": "The server is not ready",
  "out-of-memory": "There is too little memory for this photo",
  "too-slow": "This took too long",
  "token": "This server needs a token",
  "host": "The server does not answer to this address",
  "origin": "The server does not trust this address",
  "no-such-job": "The server no longer has this photo",
  "internal": "Something went wrong on the server",
  "unreachable": "The server cannot be reached",
};

const HELP = {
  "not-a-picture": "PNG, JPEG, WebP, TIFF and AVIF work. Convert other files to one of these first.",
  "too-many-bytes": "Save a smaller file, or ask the operator of this server to raise the limit.",
  "status-413": "Something between this page and the server, such as a proxy, accepts smaller files only. Save a smaller file, or ask the operator to raise the limit.",
  "upload-cut": "The server is there, so something in between, such as a proxy, may accept smaller files only. Try again, or save a smaller file.",
  "upload-stopped": "Try again with a better connection, or save a smaller file.",
  "too-many-pixels": "Crop or resize the photo, or ask the operator of this server to raise the limit.",
  "media-type": "PNG, JPEG, WebP, TIFF and AVIF work.",
  "stack": "It holds a stack of pages, or data of an instrument. You can restore it and download it as TIFF.",
  "queue-full": "Other photos are ahead of yours. Try again in a little while.",
  "uploads-full": "Other photos are being uploaded. Try again in a little while.",
  "results-full": "Many finished photos are waiting to be downloaded. Try again in a little while.",
  "not-ready": "Try again in a moment.",
  "out-of-memory": "Try again later, or set a smaller tile under More options.",
  "too-slow": "Try a smaller photo.",
  "token": "Ask the operator of the server for it, then try again.",
  "no-such-job": "The server was restarted, or the photo waited too long. Try again.",
  "internal": "Your photo is not the cause. The server’s log has the details.",
  "unreachable": "Is it still running? This page still has your photos. Try again once the server is back.",
};

const FINAL = new Set(["not-a-picture", "cannot-read", "too-many-bytes", "too-many-pixels", "media-type"]); // trying again does not help
const ALREADY_SAID = /^(not a PNG|the token is missing)/; // by the title
const AWAY = new Set(["status-502", "status-503", "status-504"]); // what a proxy says without the server

// A problem may bring its own `words`, {title, help}, as those of another engine do. The `title` of RFC 9457 is not shown.
export function refusal(problem) {
  let kind = (problem?.type ?? "").replace("urn:uformer:", "");
  if (AWAY.has(kind)) kind = "unreachable";
  const detail = (problem?.detail ?? "").replace(/^(picture|image): /, "").replace(/; use format=.*/, "; choose another format").replace(/\.?$/, ".");
  const known = detail === "." || ALREADY_SAID.test(detail);
  const other = TITLES[kind] ? "" : `Its response has status ${problem?.status || "unknown"}.`;
  const text = [known ? other : detail[0].toUpperCase() + detail.slice(1), problem?.words?.help ?? HELP[kind]].filter(Boolean).join(" ");
  return { title: problem?.words?.title ?? TITLES[kind] ?? "The server refused the request", text, final: FINAL.has(kind) };
}

// Says why a file of a known kind is refused before it is sent; null if it may be sent. `reads`: suffixes.
// `served`: whether an operator could install what is missing.
export function refusedKind(suffix, reads, served = true) {
  if (!reads || reads.includes(suffix)) return null;
  const kind = HEIC.has(suffix) ? "HEIC" : RAW.has(suffix) ? "Camera raw" : OTHERS[suffix];
  if (!kind) return null;
  const extra = { HEIC: "heic", "Camera raw": "raw" }[kind];
  const help = extra && served ? `Or ask the operator of this server to run pip install "uformer[${extra}]".` : "";
  return { type: "urn:uformer:cannot-read", detail: `${kind} is not among the formats that can be read here. Save the photo as JPEG ${reads.includes("tif") ? "or TIFF " : ""}first. ${help}`.trim() };
}

const HEIC = new Set(["heic", "heif", "hif"]);
const RAW = new Set(["dng", "cr2", "cr3", "crw", "nef", "nrw", "arw", "srf", "sr2", "raf", "orf", "rw2", "pef", "srw", "3fr", "iiq", "mrw", "x3f", "erf", "mef", "mos", "dcr", "kdc", "rwl"]);
const OTHERS = { gif: "GIF", bmp: "BMP", svg: "SVG", psd: "Photoshop", jxl: "JPEG XL", pdf: "PDF", mp4: "Video", mov: "Video" };
