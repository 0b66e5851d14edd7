// The dialog in which a person says what is right. Nothing leaves it without the person's consent.
import { BoxEditor } from "./boxes.js";
import { button, make } from "./dom.js";
import { Problem, report } from "./service.js";
import { problemWords, verdictWords } from "./verdicts.js";
import { word } from "./words.js";

const LONGEST_COMMENT = 2000;

/** Ask what is right; `done(photo)` when the report is kept. */
export function askWhatIsRight(dialog, photo, done) {
  const address = URL.createObjectURL(photo.file);
  const stopper = new AbortController();
  dialog.replaceChildren(form(dialog, photo, address, stopper, done));
  dialog.addEventListener(
    "close",
    () => {
      stopper.abort();
      URL.revokeObjectURL(address);
      dialog.replaceChildren();
    },
    { once: true },
  );
  dialog.showModal();
}

function form(dialog, photo, address, stopper, done) {
  const found = photo.answer.photo;
  const suggested = found.boxes.map((box) => [box.x1, box.y1, box.x2, box.y2]);
  const { width, height } = found;
  const editor = new BoxEditor({ address, width, height, alt: photo.name, suggested });
  const damaged = choice("damaged", [
    ["yes", word("damaged_yes")],
    ["no", word("damaged_no")],
    ["unknown", word("damaged_unknown")],
  ]);
  const onVehicle = make("div", { hidden: true }, damaged, editor.element);
  const answer = choice("right_answer", [
    ["vehicle", word("right_vehicle")],
    ["no vehicle", word("right_none")],
  ]);
  answer.addEventListener("change", () => (onVehicle.hidden = chosen(answer) !== "vehicle"));
  const comment = make("textarea", { rows: 3, maxlength: LONGEST_COMMENT, id: "comment", "aria-describedby": "comment-hint" });
  const consent = make("input", { type: "checkbox", id: "consent", "aria-describedby": "consent-text" });
  const alarm = make("p", { class: "alarm", role: "alert" });
  const send = make("button", { type: "submit", class: "main", text: word("send") });

  const complain = (text, element) => {
    alarm.textContent = text;
    element.focus();
  };
  const submit = async (event) => {
    event.preventDefault();
    const verdict = chosen(answer);
    if (!verdict) return complain(word("need_answer"), answer.querySelector("input"));
    if (!consent.checked) return complain(word("need_consent"), consent);
    send.disabled = true;
    alarm.textContent = word("sending_report");
    const correction = { verdict, comment: comment.value.trim() };
    if (verdict === "vehicle") {
      correction.boxes = editor.boxes.map(([x1, y1, x2, y2]) => ({ x1, y1, x2, y2 }));
      correction.damaged = { yes: true, no: false }[chosen(damaged)] ?? null;
    }
    try {
      const kept = await report(photo.file, correction, { signal: stopper.signal });
      photo.reported = kept.id;
      done(photo);
      thank(dialog, kept.id);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.kind === "cancelled") return;
      send.disabled = false;
      alarm.textContent = sentence(error);
      send.focus();
    }
  };

  return make(
    "form",
    { novalidate: true, on: { submit } },
    make("h2", { id: "wrong-title", text: word("wrong_title") }),
    make("p", {}, make("bdi", { class: "name", text: photo.name })),
    make("p", { text: word("wrong_said", { verdict: verdictWords(found.verdict) }) }),
    answer,
    onVehicle,
    make("label", { for: "comment", text: word("comment") }),
    comment,
    make("p", { class: "quiet", id: "comment-hint", text: word("comment_hint") }),
    make("div", { class: "consent" }, consent, make("label", { for: "consent", text: word("consent") })),
    make("p", { class: "quiet", id: "consent-text", text: word("consent_text") }),
    alarm,
    make("div", { class: "row" }, send, button(word("close"), () => dialog.close())),
  );
}

function thank(dialog, id) {
  const close = button(word("close"), () => dialog.close(), { class: "main" });
  dialog.replaceChildren(
    make("h2", { id: "wrong-title", text: word("wrong_title") }),
    make("p", { class: "lead", role: "status", text: word("thanks", { id }) }),
    close,
  );
  close.focus();
}

function sentence(problem) {
  if (problem.code === "feedback_full") return `${word("full")} ${word("full_remedy")}`;
  const words = problemWords(problem);
  return `${words.title}. ${words.reason} ${words.remedy} ${words.said}`.trim();
}

/** Several answers of which one holds. */
function choice(name, options) {
  return make(
    "fieldset",
    { class: "choice" },
    make("legend", { text: word(name) }),
    ...options.map(([value, text]) => make("label", {}, make("input", { type: "radio", name, value }), make("span", { text }))),
  );
}

function chosen(fieldset) {
  return fieldset.querySelector("input:checked")?.value ?? null;
}
