// Files from what people give: the chooser, the camera, a drop of files or folders; and small pictures of them.
const THUMBNAIL = 96; // pixels, the longest side
const HIDDEN = /^\./; // .DS_Store and the like

/** All files in a drop, folders opened, in the order of their names. */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

async function walk(entry, found) {
  if (HIDDEN.test(entry.name)) return;
  if (entry.isFile) {
    found.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    return;
  }
  const reader = entry.createReader();
  const inside = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break; // it gives a hundred at a time
    inside.push(...some);
  }
  inside.sort((one, other) => one.name.localeCompare(other.name));
  for (const one of inside) await walk(one, found);
}

/** Makes small pictures one at a time, as a photo is large while it is open; `made(photo)` when one is there. */
export class Thumbnails {
  constructor(made) {
    this.made = made;
    this.waiting = [];
    this.busy = false;
  }

  want(photos) {
    this.waiting.push(...photos);
    if (!this.busy) this.#work();
  }

  /** Give back what these pictures hold. */
  release(photos) {
    const gone = new Set(photos);
    this.waiting = this.waiting.filter((photo) => !gone.has(photo));
    for (const photo of photos) {
      if (photo.thumbnail) URL.revokeObjectURL(photo.thumbnail);
      photo.thumbnail = null;
      photo.released = true;
    }
  }

  async #work() {
    this.busy = true;
    while (this.waiting.length) {
      const photo = this.waiting.shift();
      const blob = await small(photo.file);
      if (photo.released) continue;
      photo.thumbnail = blob ? URL.createObjectURL(blob) : "";
      this.made(photo);
    }
    this.busy = false;
  }
}

/** A small JPEG of a photo, upright; null where the browser cannot show it. */
async function small(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return null; // HEIC, TIFF, or no photo at all
  }
  const scale = Math.min(1, THUMBNAIL / Math.max(bitmap.width, bitmap.height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(bitmap.width * scale)), Math.max(1, Math.round(bitmap.height * scale)));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.8 });
}
