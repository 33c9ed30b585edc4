// Text for people: sizes, times, and a title and help for every error.

export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB"];
  let unit = 0;
  while (count >= 1000 && unit < 3) { count /= 1000; unit += 1; }
  return `${count < 10 && unit ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
}

export function pixels(count) {
  return count >= 1e6 ? `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} megapixels` : `${count.toLocaleString("en")} pixels`;
}

export function duration(seconds) {
  if (seconds < 1.5) return "a moment";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

const TITLES = {
  "not-a-picture": "This file cannot be read as a photo",
  "too-many-bytes": "This file is too large",
  "too-many-pixels": "This photo is too large",
  "media-type": "This file type is not supported",
  "options": "These options cannot be used",
  "not-restored": "This photo could not be restored",
  "not-acceptable": "This format is not available",
  "queue-full": "The server is busy",
  "results-full": "The server is busy",
  "not-ready": "The server is not ready",
  "out-of-memory": "The server has too little memory for this photo",
  "too-slow": "This took too long",
  "token": "The token is wrong",
  "no-such-job": "The server no longer has this photo",
  "internal": "Something went wrong on the server",
};

const HELP = {
  "not-a-picture": "PNG, JPEG, WebP, TIFF and AVIF work. Convert HEIC and camera raw files to one of these first.",
  "too-many-bytes": "Save a smaller file, or ask the operator of this server to raise the limit.",
  "too-many-pixels": "Crop or resize the photo, or ask the operator of this server to raise the limit.",
  "media-type": "PNG, JPEG, WebP, TIFF and AVIF work.",
  "queue-full": "Other photos are ahead of yours. Try again in a little while.",
  "results-full": "Many finished photos are waiting to be downloaded. Try again in a little while.",
  "out-of-memory": "Try again later, or set a smaller tile under More options.",
  "too-slow": "Try a smaller photo.",
  "no-such-job": "The server was restarted, or the photo waited too long. Try again.",
  "internal": "Your photo is not the cause. The server’s log has the details.",
};

const FINAL = new Set(["not-a-picture", "too-many-bytes", "too-many-pixels", "media-type"]); // trying again does not help

export function refusal(problem) {
  const kind = (problem?.type ?? "").replace("urn:uformer:", "");
  if (kind === "unreachable") return { title: "The server cannot be reached", text: "Is it still running? This page still has your photo; try again once the server is back." };
  const detail = (problem?.detail ?? "").replace(/^(picture|image): /, "").replace(/\.?$/, ".");
  const known = detail === "." || detail.startsWith("not a PNG"); // the title already says it
  const text = [known ? "" : detail[0].toUpperCase() + detail.slice(1), HELP[kind]].filter(Boolean).join(" ");
  return { title: TITLES[kind] ?? "The server refused the request", text, final: FINAL.has(kind) };
}
