// Lets a person mark vehicles: by drawing with a pointer, with the arrow keys, or by figures. Boxes are in pixels.
import { button, make, svg } from "./dom.js";
import { word } from "./words.js";

const LEAST = 0.01; // of a side; a smaller box was a slip of the pointer
const STEP = 0.01;
const EDGES = ["left", "top", "right", "bottom"];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class BoxEditor {
  /** `suggested`: boxes of the service as [x1, y1, x2, y2]. */
  constructor({ address, width, height, alt, suggested }) {
    Object.assign(this, { width, height, suggested });
    this.boxes = [];
    this.layer = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "boxes draw" });
    const image = make("img", { src: address, alt, draggable: "false" });
    this.frame = make("div", { class: "frame" }, image, this.layer);
    image.addEventListener("error", () => {
      image.remove();
      this.frame.classList.add("empty");
    });
    this.list = make("ol", { class: "edges" });
    this.element = make(
      "div",
      { class: "editor" },
      make("p", { text: word("boxes_hint") }),
      make("p", { class: "quiet", id: "box-keys", text: word("boxes_keys") }),
      this.frame,
      make(
        "div",
        { class: "row" },
        button(word("box_add"), () => this.#add([width * 0.2, height * 0.2, width * 0.8, height * 0.8])),
        button(word("box_whole"), () => this.#set([[0, 0, width, height]])),
        suggested.length ? button(word("box_keep"), () => this.#set(suggested.map((box) => [...box]))) : null,
      ),
      this.list,
    );
    this.#listen();
  }

  #listen() {
    let start = null;
    let drawn = null;
    this.layer.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      this.layer.setPointerCapture(event.pointerId);
      start = this.#point(event);
      drawn = svg("rect", { class: "mark own" });
      this.layer.append(drawn);
    });
    this.layer.addEventListener("pointermove", (event) => {
      if (!start) return;
      const [x1, y1, x2, y2] = between(start, this.#point(event));
      for (const [name, value] of Object.entries({ x: x1, y: y1, width: x2 - x1, height: y2 - y1 })) drawn.setAttribute(name, value);
    });
    const end = (event, keep) => {
      if (!start) return;
      const box = between(start, this.#point(event));
      start = null;
      drawn.remove();
      const large = box[2] - box[0] >= LEAST * this.width && box[3] - box[1] >= LEAST * this.height;
      if (keep && large) this.#add(box, { focus: false });
    };
    this.layer.addEventListener("pointerup", (event) => end(event, true));
    this.layer.addEventListener("pointercancel", (event) => end(event, false));
  }

  #point(event) {
    const { left, top, width, height } = this.layer.getBoundingClientRect();
    const within = (value, limit) => Math.min(limit, Math.max(0, value));
    return [
      within(((event.clientX - left) / width) * this.width, this.width),
      within(((event.clientY - top) / height) * this.height, this.height),
    ];
  }

  #add(box, { focus = true } = {}) {
    this.boxes.push(box);
    this.#draw();
    if (focus) this.list.lastElementChild.querySelector("input").focus();
  }

  #set(boxes) {
    this.boxes = boxes;
    this.#draw();
  }

  #remove(index) {
    this.boxes.splice(index, 1);
    this.#draw();
    const next = this.list.children[Math.min(index, this.boxes.length - 1)];
    (next?.querySelector("button") || this.element.querySelector(".row button")).focus();
  }

  #draw() {
    this.layer.replaceChildren(...this.boxes.map((box, index) => this.#shape(box, index)));
    this.list.replaceChildren(...this.boxes.map((box, index) => this.#fields(index)));
  }

  #shape(box, index) {
    const shape = svg(
      "g",
      {
        tabindex: 0,
        role: "button",
        "aria-describedby": "box-keys",
        on: { keydown: (event) => this.#key(event, index) },
      },
      svg("rect", { class: "edge" }),
      svg("rect", { class: "mark own" }),
    );
    this.#place(shape, index);
    return shape;
  }

  /** Bring the drawing of a box to where the box is now. */
  #place(shape, index) {
    const [x1, y1, x2, y2] = this.boxes[index];
    for (const rect of shape.children)
      for (const [name, value] of Object.entries({ x: x1, y: y1, width: x2 - x1, height: y2 - y1 })) rect.setAttribute(name, value);
    const [left, top, right, bottom] = this.#percent(index);
    shape.setAttribute("aria-label", word("box_place", { n: index + 1, left, top, right, bottom }));
  }

  #percent(index) {
    return this.boxes[index].map((value, edge) => Math.round((100 * value) / this.#side(edge)));
  }

  #side(edge) {
    return edge % 2 ? this.height : this.width;
  }

  #fields(index) {
    const values = this.#percent(index);
    return make(
      "li",
      {},
      make(
        "fieldset",
        {},
        make("legend", { text: word("box_name", { n: index + 1 }) }),
        ...EDGES.map((name, edge) =>
          make(
            "label",
            {},
            make("span", { text: word(`edge_${name}`) }),
            make("input", {
              type: "number",
              min: 0,
              max: 100,
              step: 1,
              value: values[edge],
              on: { change: (event) => this.#typed(event.target, index, edge) },
            }),
          ),
        ),
        button(word("box_remove"), () => this.#remove(index), {
          class: "small",
          "aria-label": word("box_remove_name", { n: index + 1 }),
        }),
      ),
    );
  }

  #typed(field, index, edge) {
    const value = Math.min(100, Math.max(0, Number(field.value) || 0));
    const box = [...this.boxes[index]];
    box[edge] = (value / 100) * this.#side(edge);
    if (box[2] - box[0] >= LEAST * this.width && box[3] - box[1] >= LEAST * this.height) this.boxes[index] = box;
    field.value = this.#percent(index)[edge];
    this.#place(this.layer.children[index], index);
  }

  #key(event, index) {
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      this.#remove(index);
      return;
    }
    if (event.key === "Enter") {
      event.preventDefault();
      this.list.children[index].querySelector("input").focus();
      return;
    }
    const way = ARROWS[event.key];
    if (!way) return;
    event.preventDefault();
    const [x1, y1, x2, y2] = this.boxes[index];
    let [across, down] = [way[0] * STEP * this.width, way[1] * STEP * this.height];
    if (event.shiftKey) {
      const right = Math.min(this.width, Math.max(x1 + LEAST * this.width, x2 + across));
      this.boxes[index] = [x1, y1, right, Math.min(this.height, Math.max(y1 + LEAST * this.height, y2 + down))];
    } else {
      across = Math.min(this.width - x2, Math.max(-x1, across));
      down = Math.min(this.height - y2, Math.max(-y1, down));
      this.boxes[index] = [x1 + across, y1 + down, x2 + across, y2 + down];
    }
    this.#place(this.layer.children[index], index);
    const values = this.#percent(index);
    this.list.children[index].querySelectorAll("input").forEach((field, edge) => (field.value = values[edge]));
  }
}

function between([x1, y1], [x2, y2]) {
  return [Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)];
}
