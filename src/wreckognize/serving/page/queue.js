// Photos wait here and are sent, a few at a time. Knows when to wait and when to give up; draws nothing.
import { Problem, inspect } from "./service.js";

const AT_ONCE = 3;
const ATTEMPTS = 8;
const LONGEST_WAIT = 60; // seconds
export const OPEN = ["waiting", "sending", "looking"];

/** One photo on the page. `file` is a handle: its bytes stay on the disk until they are sent. */
export class Photo {
  static #next = 1;

  constructor(file) {
    this.id = Photo.#next++;
    this.file = file;
    this.name = file.name || "photo.jpg";
    this.thumbnail = null; // address of a small local picture; null: not made yet
    this.reported = null; // the number a correction is kept under
    this.reset();
  }

  reset() {
    this.state = "waiting"; // sending, looking, done, failed, cancelled
    this.share = 0; // of its bytes that were sent
    this.answer = null;
    this.problem = null;
    this.attempts = 0;
    this.stopper = new AbortController();
  }
}

/** Sends photos; tells `changed(photo)` of every step and `stopped(problem)` when none can be sent now. */
export class Queue {
  constructor({ changed, stopped }) {
    this.changed = changed;
    this.stopped = stopped;
    this.photos = [];
    this.active = 0;
    this.held = false; // until someone presses "try again"
    this.notBefore = 0; // the service asked for patience until then
    this.mostBytes = Infinity; // of a photo; a larger one is not sent to be refused
    this.timer = null;
  }

  add(files) {
    const photos = files.map((file) => new Photo(file));
    this.photos.push(...photos);
    this.#next();
    return photos;
  }

  /** Go on after the service could not be reached or a key was given. */
  resume() {
    this.held = false;
    this.#next();
  }

  retry(photos) {
    for (const photo of photos) {
      photo.reset();
      this.changed(photo);
    }
    this.resume();
  }

  /** Those of `photos` that have no answer, but may have one if they are sent again. */
  worthAnother(photos) {
    return photos.filter((photo) => photo.state === "cancelled" || (photo.state === "failed" && !photo.problem.lasts));
  }

  cancel(photos) {
    for (const photo of photos) {
      if (!OPEN.includes(photo.state)) continue;
      photo.state = "cancelled";
      photo.stopper.abort();
      this.changed(photo);
    }
  }

  clear() {
    this.cancel(this.photos);
    this.photos = [];
  }

  /** Whole seconds until the service may be asked again; 0: now. */
  get patience() {
    return Math.max(0, Math.ceil((this.notBefore - performance.now()) / 1000));
  }

  #next() {
    if (this.held) return;
    const wait = this.notBefore - performance.now();
    if (wait > 0) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.#next(), wait);
      return;
    }
    while (this.active < AT_ONCE) {
      const photo = this.photos.find((one) => one.state === "waiting");
      if (!photo) return;
      this.#send(photo);
    }
  }

  async #send(photo) {
    this.active += 1;
    photo.state = "sending";
    photo.share = 0;
    photo.attempts += 1;
    const { signal } = photo.stopper;
    this.changed(photo);
    try {
      if (photo.file.size > this.mostBytes) throw new Problem("large", { status: 413 });
      const sent = (share) => {
        if (signal.aborted) return;
        photo.share = share;
        if (share === 1) photo.state = "looking";
        this.changed(photo);
      };
      photo.answer = { ...(await inspect(photo.file, { signal, sent })), when: new Date().toISOString() };
      photo.state = "done";
    } catch (error) {
      this.#failed(photo, await named(error, photo));
    } finally {
      this.active -= 1;
    }
    this.changed(photo);
    this.#next();
  }

  #failed(photo, problem) {
    if (photo.state === "cancelled" || problem.kind === "cancelled") {
      photo.state = "cancelled";
    } else if (problem.concernsAll) {
      photo.state = "waiting";
      photo.attempts -= 1;
      const first = !this.held;
      this.held = true;
      if (first) this.stopped(problem);
    } else if (problem.passes && photo.attempts < ATTEMPTS) {
      photo.state = "waiting";
      const seconds = problem.retryAfter ?? Math.min(LONGEST_WAIT, 2 ** (photo.attempts - 1));
      // A little more for each, so that many pages that were turned away together do not come back together.
      const wait = Math.min(LONGEST_WAIT, Math.max(0, seconds)) * 1000 * (1 + Math.random() / 4) + 50;
      this.notBefore = Math.max(this.notBefore, performance.now() + wait);
    } else {
      photo.state = "failed";
      photo.problem = problem;
    }
  }
}

/** A request that failed before it left may mean a file that is gone, not a service that is. */
async function named(error, photo) {
  if (!(error instanceof Problem)) throw error;
  if (error.kind !== "gone" || error.status !== 0) return error;
  try {
    await photo.file.slice(0, 1).arrayBuffer();
    return error;
  } catch {
    return new Problem("local");
  }
}
