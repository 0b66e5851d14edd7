// One photo, large: the picture with its boxes, the verdict in big words, the score explained, boxes in figures.
import { button, make, svg } from "./dom.js";
import { OPEN } from "./queue.js";
import { meaning, problemWords, rule, sureBoxes, verdictKey, verdictWords } from "./verdicts.js";
import { number, word } from "./words.js";

const ICONS = {
  vehicle: "M9 25 20 36 40 13",
  no_vehicle: "M12 12 36 36M36 12 12 36",
  to_a_person: "M17 18a7 7 0 1 1 10 6c-2 1-3 3-3 6m0 6v1",
};

/** The large view. Holds the bytes of one photo at a time. */
export class Detail {
  /** `act`: {retry, cancel, wrong()} of a photo; `wrong()` gives null where corrections are not taken. */
  constructor(place, act) {
    this.place = place;
    this.act = act;
    this.photo = null;
    this.address = null;
  }

  /** Show a photo (null: none). */
  show(photo) {
    if (this.address) URL.revokeObjectURL(this.address);
    this.photo = photo;
    this.address = photo && URL.createObjectURL(photo.file);
    this.visible = null; // whether the browser can show it; null: not known yet
    this.place.replaceChildren();
    this.place.className = "detail";
    if (!photo) return;
    this.frame = make("div", { class: "frame" });
    this.figure = make("figure", { class: "picture" }, this.frame, make("figcaption", { class: "name" }, make("bdi", { text: photo.name })));
    this.said = make("div", { class: "said" });
    this.place.append(this.figure, this.said);
    this.image = make("img", {
      src: this.address,
      alt: "",
      on: { load: () => this.#seen(true), error: () => this.#seen(false) },
    });
    this.frame.append(this.image);
    this.change();
  }

  /** The photo that is shown has got further. */
  change(patience = 0) {
    if (!this.photo) return;
    const focused = this.said.contains(document.activeElement);
    const opened = [...this.said.querySelectorAll("details")].map((one) => one.open);
    this.said.replaceChildren(...about(this.photo, this.act, patience));
    this.said.querySelectorAll("details").forEach((one, index) => (one.open = opened[index] ?? false));
    if (focused) this.said.querySelector("button")?.focus();
    this.#draw();
  }

  #seen(visible) {
    this.visible = visible;
    this.#draw();
  }

  #draw() {
    const found = this.photo.answer?.photo;
    const boxes = found && word("boxes_count", { n: found.boxes.length });
    const alt = found ? word("photo_alt", { name: this.photo.name, verdict: verdictWords(found.verdict), boxes }) : this.photo.name;
    this.image.alt = alt;
    this.frame.querySelector("svg")?.remove();
    this.figure.querySelector(".unseen")?.remove();
    const unseen = this.visible === false;
    this.image.hidden = unseen;
    this.frame.hidden = unseen && !found;
    this.frame.classList.toggle("empty", unseen);
    if (!found) return;
    if (this.visible) this.frame.append(drawBoxes(this.photo.answer));
    if (!unseen) return;
    this.frame.append(drawBoxes(this.photo.answer, alt));
    this.figure.append(make("figcaption", { class: "unseen", text: word("not_shown") }));
    const details = this.said.querySelector("details.figures");
    if (details) details.open = true;
  }
}

/** The boxes over the photo; named only where there is no picture below to carry the name. */
function drawBoxes(answer, name = null) {
  const { width, height, boxes } = answer.photo;
  const sure = new Set(sureBoxes(answer));
  const layer = svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    class: "boxes",
    ...(name ? { role: "img", "aria-label": name } : { "aria-hidden": "true" }),
  });
  const size = Math.max(width, height) / 34;
  boxes.forEach((box, index) => {
    const weak = sure.has(box) ? "" : " weak";
    const place = { x: box.x1, y: box.y1, width: box.x2 - box.x1, height: box.y2 - box.y1 };
    layer.append(
      svg("rect", { ...place, class: "edge" }),
      svg("rect", { ...place, class: `mark${weak}` }),
      svg("text", {
        x: Math.max(box.x1 + size / 3, 0),
        y: Math.min(box.y1 + size * 1.15, height - size / 4),
        "font-size": size,
        class: `mark${weak}`,
        text: boxes.length > 1 ? `${index + 1}` : "",
      }),
    );
  });
  return layer;
}

function about(photo, act, patience) {
  if (photo.state === "failed") return aboutProblem(photo, act);
  if (!photo.answer) return aboutWaiting(photo, act, patience);
  const wrong = act.wrong();
  const { answer } = photo;
  const key = verdictKey(answer.photo.verdict);
  return [
    make(
      "p",
      { class: `verdict ${key}` },
      svg("svg", { viewBox: "0 0 48 48", "aria-hidden": "true" }, svg("path", { d: ICONS[key] })),
      make("strong", { text: verdictWords(answer.photo.verdict) }),
    ),
    make("p", { class: "lead", text: meaning(answer) }),
    sureBoxes(answer).length < answer.photo.boxes.length && make("p", { class: "quiet", text: word("boxes_weak") }),
    make("p", { class: "score", text: word("score", { score: number(answer.photo.score) }) }),
    meter(answer),
    make("p", { class: "quiet", text: rule(answer) }),
    make("details", {}, make("summary", { text: word("score_what") }), make("p", { text: word("score_text") })),
    figures(answer),
    photo.reported
      ? make("p", { class: "quiet", text: word("reported", { id: photo.reported }) })
      : wrong && button(word("wrong"), () => wrong(photo), { class: "wrong" }),
  ].filter(Boolean);
}

function aboutWaiting(photo, act, patience) {
  const bar = photo.state === "sending" ? { value: photo.share } : {};
  const open = OPEN.includes(photo.state);
  return [
    make("p", { class: "state", text: stateWords(photo, patience) }),
    open && make("progress", { max: 1, ...bar, "aria-label": stateWords(photo, patience) }),
    open
      ? button(word("cancel"), () => act.cancel(photo))
      : button(word("retry"), () => act.retry(photo), { class: "main" }),
  ].filter(Boolean);
}

function aboutProblem(photo, act) {
  const words = problemWords(photo.problem);
  return [
    make("p", { class: "verdict none" }, make("strong", { text: words.title })),
    make("p", { class: "lead", text: words.reason }),
    make("p", { text: words.remedy }),
    words.said && make("p", { class: "quiet", text: words.said, lang: "en" }),
    !photo.problem.lasts && button(word("retry"), () => act.retry(photo), { class: "main" }),
  ].filter(Boolean);
}

function meter(answer) {
  const { score } = answer.photo;
  const band = answer.to_a_person;
  const cuts = band ? [band.low, band.high].filter((cut) => cut !== null) : [answer.threshold];
  const name = band
    ? `${word("score", { score: number(score) })}. ${rule(answer)}`
    : word("score_meter", { score: number(score), threshold: number(answer.threshold) });
  return svg(
    "svg",
    { viewBox: "0 0 1000 60", class: `meter ${verdictKey(answer.photo.verdict)}`, role: "img", "aria-label": name, preserveAspectRatio: "none" },
    svg("rect", { x: 0, y: 14, width: 1000, height: 32, class: "whole" }),
    svg("rect", { x: 0, y: 14, width: 1000 * score, height: 32, class: "part" }),
    ...cuts.map((cut) => svg("rect", { x: Math.min(994, 1000 * cut - 3), y: 0, width: 6, height: 60, class: "cut" })),
  );
}

function figures(answer) {
  const { boxes, width, height } = answer.photo;
  if (!boxes.length) return make("p", { class: "quiet", text: word("boxes_none") });
  const columns = ["box_score", "box_left", "box_top", "box_right", "box_bottom"];
  return make(
    "details",
    { class: "figures" },
    make("summary", { text: word("boxes_title", { n: boxes.length }) }),
    make(
      "div",
      { class: "scroll" },
      make(
        "table",
        {},
        make("caption", { text: word("boxes_caption", { width, height }) }),
        make(
          "thead",
          {},
          make("tr", {}, make("td"), ...columns.map((column) => make("th", { scope: "col", class: "amount", text: word(column) }))),
        ),
        make(
          "tbody",
          {},
          ...boxes.map((box, index) =>
            make(
              "tr",
              {},
              make("th", { scope: "row", text: word("box_name", { n: index + 1 }) }),
              make("td", { class: "amount", text: number(box.confidence) }),
              ...[box.x1, box.y1, box.x2, box.y2].map((edge) => make("td", { class: "amount", text: Math.round(edge) })),
            ),
          ),
        ),
      ),
    ),
  );
}

/** Where a photo without an answer stands. */
export function stateWords(photo, patience = 0) {
  if (photo.state === "sending") return word("sending", { percent: Math.round(100 * photo.share) });
  if (photo.state === "waiting" && patience > 0 && photo.attempts > 0) return word("waiting_busy", { n: patience });
  return word(photo.state);
}
