// The table of all photos: a row each, changed in place, sorted as asked.
import { stateWords } from "./detail.js";
import { button, make } from "./dom.js";
import { OPEN } from "./queue.js";
import { problemWords, vehicles, verdictKey, verdictWords } from "./verdicts.js";
import { currentLanguage, number, word } from "./words.js";

const VERDICT_ORDER = ["to a person", "no vehicle", "vehicle"]; // what wants a look comes first

export class Table {
  /** `act`: {show, retry, cancel} of a photo. */
  constructor(table, act) {
    this.body = table.tBodies[0];
    this.heads = [...table.tHead.querySelectorAll("button[data-sort]")];
    this.act = act;
    this.rows = new Map();
    this.order = { by: null, down: false };
    this.shown = null;
    for (const head of this.heads) head.addEventListener("click", () => this.#sortBy(head.dataset.sort));
  }

  add(photos) {
    for (const photo of photos) {
      const row = make("tr");
      this.rows.set(photo, row);
      this.#draw(photo);
      this.body.append(row);
    }
  }

  change(photo, patience) {
    if (this.rows.has(photo)) this.#draw(photo, patience);
  }

  clear() {
    this.rows.clear();
    this.body.replaceChildren();
    this.order = { by: null, down: false };
    this.#heads();
  }

  /** Mark the photo that is shown large. */
  mark(photo) {
    this.rows.get(this.shown)?.removeAttribute("aria-current");
    this.rows.get(photo)?.setAttribute("aria-current", "true");
    this.shown = photo;
  }

  /** The photos as they stand, first row first. */
  inOrder() {
    const places = new Map([...this.body.rows].map((row, index) => [row, index]));
    return [...this.rows.keys()].sort((one, other) => places.get(this.rows.get(one)) - places.get(this.rows.get(other)));
  }

  #draw(photo, patience = 0) {
    const row = this.rows.get(photo);
    const found = photo.answer?.photo;
    const focused = row.contains(document.activeElement) && document.activeElement.dataset.act;
    row.replaceChildren(
      make("td", { class: "picture" }, photo.thumbnail ? make("img", { src: photo.thumbnail, alt: "" }) : make("span", { class: "blank" })),
      make("th", { scope: "row" }, make("bdi", { text: photo.name })),
      make("td", { class: "state" }, ...this.#state(photo, patience)),
      make("td", { class: "amount", "data-of": word("column_score"), text: found ? number(found.score) : "–" }),
      make("td", { class: "amount", "data-of": word("column_vehicles"), text: found ? vehicles(photo.answer) : "–" }),
      make("td", { class: "acts" }, ...this.#acts(photo)),
    );
    if (focused) (row.querySelector(`[data-act="${focused}"]`) || row.querySelector("button"))?.focus();
  }

  #state(photo, patience) {
    if (photo.answer) {
      const key = verdictKey(photo.answer.photo.verdict);
      const more = photo.reported ? make("small", { text: word("reported", { id: photo.reported }) }) : null;
      return [make("b", { class: `tag ${key}`, text: verdictWords(photo.answer.photo.verdict) }), more];
    }
    if (photo.state === "failed") {
      const words = problemWords(photo.problem);
      return [make("b", { class: "tag none", text: words.title }), make("small", { text: words.remedy })];
    }
    const bar = photo.state === "sending" ? make("progress", { max: 1, value: photo.share, "aria-hidden": "true" }) : null;
    return [make("span", { text: stateWords(photo, patience) }), bar];
  }

  #acts(photo) {
    const { name } = photo;
    const one = (key, act) => button(word(key), () => act(photo), { class: "small", "data-act": key, "aria-label": word(`${key}_name`, { name }) });
    if (OPEN.includes(photo.state)) return [one("cancel", this.act.cancel)];
    const show = one("show", this.act.show);
    return photo.state === "done" || photo.problem?.lasts ? [show] : [show, one("retry", this.act.retry)];
  }

  #sortBy(by) {
    this.order = { by, down: this.order.by === by && !this.order.down };
    const collator = new Intl.Collator(currentLanguage(), { numeric: true });
    const value = {
      name: (photo) => photo.name,
      verdict: (photo) => (photo.answer ? VERDICT_ORDER.indexOf(photo.answer.photo.verdict) : -1),
      score: (photo) => photo.answer?.photo.score ?? -1,
      vehicles: (photo) => (photo.answer ? vehicles(photo.answer) : -1),
    }[by];
    const compare = (one, other) => {
      const [left, right] = [value(one), value(other)];
      return (by === "name" ? collator.compare(left, right) : left - right) || one.id - other.id;
    };
    const sorted = [...this.rows.keys()].sort((one, other) => (this.order.down ? compare(other, one) : compare(one, other)));
    this.body.append(...sorted.map((photo) => this.rows.get(photo)));
    this.#heads();
  }

  #heads() {
    for (const head of this.heads) {
      const own = head.dataset.sort === this.order.by;
      head.closest("th").setAttribute("aria-sort", own ? (this.order.down ? "descending" : "ascending") : "none");
    }
  }
}
