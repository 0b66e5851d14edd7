// Speaks to the service. Knows its addresses and answers; knows nothing of what is on the page.
const KEY = "wreckognize.key";
const GONE_STATUSES = [0, 502, 504]; // 502 and 504 come from a proxy whose service is gone
const KINDS = {
  400: "unreadable",
  401: "key",
  403: "forbidden",
  408: "slow", // the photo arrived too slowly
  413: "large",
  415: "type",
  422: "pixels",
  429: "rate",
};
const TIMEOUT = 120_000; // milliseconds without an answer

/** Why there is no answer. `kind` has words of its own in the books: `<kind>_title`, `<kind>`, `<kind>_remedy`. */
export class Problem extends Error {
  constructor(kind, { status = 0, reason = "", remedy = "", code = "", retryAfter = null } = {}) {
    super(reason || kind);
    Object.assign(this, { kind, status, reason, remedy, code, retryAfter });
  }

  /** Whether the same photo may be taken a little later. */
  get passes() {
    return ["busy", "slow", "rate"].includes(this.kind);
  }

  /** Whether this file can never have an answer, however often it is sent. */
  get lasts() {
    return ["large", "type", "pixels", "unreadable", "local"].includes(this.kind);
  }

  /** Whether no other photo would fare better now. */
  get concernsAll() {
    return ["gone", "key", "forbidden"].includes(this.kind);
  }
}

/** The access key for this tab; never kept longer. */
export const accessKey = {
  get: () => sessionStorage.getItem(KEY) || "",
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

/** What the service says about its model, its card and its limits. */
export async function askModel() {
  const model = await ask("GET", "v1/model");
  return { ...model, threshold: model.threshold.value };
}

/** Whether corrections are taken, and with what limits. */
export function askFeedback() {
  return ask("GET", "v1/feedback");
}

/**
 * One photo's answer: {model, threshold, to_a_person, photo}.
 * `sent` is told the share of bytes that have left, from 0 to 1.
 */
export async function inspect(file, { signal, sent }) {
  const form = new FormData();
  form.append("photos", file, file.name || "photo.jpg");
  const answer = await ask("POST", "v1/inspect", { body: form, signal, sent });
  const photo = answer.photos[0];
  if (photo.error) throw new Problem(kindOfCode(photo.error), photo.error);
  return { ...answer, photo };
}

/** Keeps a correction; gives the number it is kept under. */
export function report(file, correction, { signal } = {}) {
  const form = new FormData();
  form.append("photo", file, file.name || "photo.jpg");
  form.append("correction", JSON.stringify(correction));
  form.append("consent", "yes");
  return ask("POST", "v1/feedback", { body: form, signal });
}

/** The kind of a problem that came inside an answer about several photos. */
function kindOfCode({ code = "" }) {
  return CODES[code] || "other";
}

const CODES = {
  too_many_bytes: "large",
  not_a_photo: "type",
  pixel_format: "type",
  too_many_pixels: "pixels",
  too_small: "pixels",
  unreadable: "unreadable",
  deadline: "slow",
  busy: "busy",
};

function ask(method, path, { body = null, signal, sent = () => {} } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch cannot tell how much was sent
    const stop = () => request.abort();
    const done = (settle) => {
      signal?.removeEventListener("abort", stop);
      settle();
    };
    request.open(method, path);
    request.timeout = TIMEOUT;
    if (accessKey.get()) request.setRequestHeader("Authorization", `Bearer ${accessKey.get()}`);
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => event.lengthComputable && sent(event.loaded / event.total);
    request.onload = () => done(() => settle(request, resolve, reject));
    request.ontimeout = request.onerror = () => done(() => reject(new Problem("gone")));
    request.onabort = () => done(() => reject(new Problem("cancelled")));
    if (signal?.aborted) return reject(new Problem("cancelled"));
    signal?.addEventListener("abort", stop);
    request.send(body);
  });
}

function settle(request, resolve, reject) {
  let content = null;
  try {
    content = JSON.parse(request.responseText);
  } catch {
    content = null; // a proxy's page: its status says enough
  }
  if (request.status >= 200 && request.status < 300 && content) return resolve(content);
  const { status } = request;
  const error = content?.error || {};
  const retryAfter = Number.parseFloat(request.getResponseHeader("Retry-After"));
  const kind = GONE_STATUSES.includes(status)
    ? "gone"
    : status === 503
      ? error.code === "deadline" ? "slow" : "busy"
      : error.code === "key" // a key that is not known is no key
        ? "key"
        : KINDS[status] || "other";
  reject(new Problem(kind, { ...error, status, retryAfter: Number.isFinite(retryAfter) ? retryAfter : null }));
}
