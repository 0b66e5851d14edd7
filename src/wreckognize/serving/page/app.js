// The page: what is pressed, dropped or answered goes here to where it belongs.
import { drawCard } from "./card.js";
import { download, toCsv } from "./csv.js";
import { Detail, stateWords } from "./detail.js";
import { droppedFiles, Thumbnails } from "./files.js";
import { OPEN, Queue } from "./queue.js";
import { accessKey, askFeedback, askModel, Problem } from "./service.js";
import { Table } from "./table.js";
import { problemWords, verdictWords } from "./verdicts.js";
import { currentLanguage, firstLanguage, number, speak, word } from "./words.js";
import { askWhatIsRight } from "./wrong.js";

const SAID_EACH = 5; // so many photos are announced one by one; of more, the progress is
const NARROW = matchMedia("(max-width: 52rem)"); // as in the style sheet: the answer lies below the photo
const find = (id) => document.getElementById(id);

let model = null;
let corrections = false; // whether the service takes them
let stoppedBy = null; // the problem that concerns all photos
let ticking = null;

const queue = new Queue({ changed: photoChanged, stopped: serviceStopped });
const act = {
  show: (photo) => show(photo, { focus: true }),
  retry: (photo) => queue.retry([photo]),
  cancel: (photo) => queue.cancel([photo]),
  wrong: () => (corrections ? (photo) => askWhatIsRight(find("wrong"), photo, reported) : null),
};
const table = new Table(find("table"), act);
const detail = new Detail(find("detail"), act);
const thumbnails = new Thumbnails((photo) => table.change(photo, queue.patience));

// What people give

function take(files) {
  if (!files.length) return;
  const photos = queue.add(files);
  table.add(photos);
  thumbnails.want(photos);
  show(photos[0]);
  overview();
  if (NARROW.matches) find("one").scrollIntoView({ block: "start" });
}

for (const [opener, chooser] of [["pick", "files"], ["camera", "shot"]]) {
  find(opener).addEventListener("click", () => find(chooser).click());
  find(chooser).addEventListener("change", (event) => {
    take([...event.target.files]);
    event.target.value = ""; // so that the same photo may be given again
  });
}

// The whole window takes a drop: a photo that missed the button would otherwise replace the page.
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  find("pick").classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) find("pick").classList.remove("over");
});
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  find("pick").classList.remove("over");
  if (find("wrong").open) return;
  const files = await droppedFiles(event.dataTransfer);
  if (!files.length) announce(word("no_photos"));
  take(files);
});

// What becomes of it

function show(photo, { focus = false } = {}) {
  find("one").hidden = !photo;
  detail.show(photo);
  table.mark(photo);
  if (!focus) return;
  find("detail").focus({ preventScroll: true });
  find("one").scrollIntoView({ block: "start" });
}

function photoChanged(photo) {
  table.change(photo, queue.patience);
  if (photo === detail.photo) detail.change(queue.patience);
  overview();
  say(photo);
  tick();
}

/** Count seconds down where the service asked for patience. */
function tick() {
  if (ticking || !queue.patience) return;
  ticking = setInterval(() => {
    const { patience } = queue;
    for (const photo of queue.photos) if (photo.state === "waiting" && photo.attempts) table.change(photo, patience);
    if (detail.photo?.state === "waiting") detail.change(patience);
    if (patience) return;
    clearInterval(ticking);
    ticking = null;
  }, 1000);
}

function overview() {
  const { photos } = queue;
  const done = photos.filter((photo) => photo.state === "done").length;
  const failed = photos.filter((photo) => photo.state === "failed").length;
  const open = photos.filter((photo) => OPEN.includes(photo.state)).length;
  const text = word("counts", { done, n: photos.length });
  find("give").classList.toggle("filled", photos.length > 0);
  find("all").hidden = photos.length < 2;
  find("counts").textContent = failed ? word("counts_failed", { text, failed }) : text;
  find("progress").max = Math.max(1, photos.length);
  find("progress").value = photos.length - open;
  find("progress").hidden = !open;
  find("cancel").hidden = !open;
  find("retry").hidden = open > 0 || !queue.worthAnother(photos).length;
  find("csv").disabled = !done && !failed;
}

function announce(text) {
  find("said").textContent = text;
}

function say(photo) {
  const { photos } = queue;
  const ended = photos.filter((one) => !OPEN.includes(one.state)).length;
  if (OPEN.includes(photo.state)) return;
  const done = photos.filter((one) => one.state === "done").length;
  if (photos.length <= SAID_EACH) {
    const { answer, name } = photo;
    if (answer) announce(word("said_done", { name, verdict: verdictWords(answer.photo.verdict), score: number(answer.photo.score) }));
    else if (photo.problem) announce(word("said_failed", { name, reason: problemWords(photo.problem).reason }));
    else announce(`${name}: ${stateWords(photo)}`);
  } else if (ended === photos.length) announce(word("said_all", { done, n: photos.length }));
  else if (ended % Math.ceil(photos.length / 10) === 0) announce(word("said_progress", { done: ended, n: photos.length }));
}

find("csv").addEventListener("click", () => {
  const reasonOf = (photo) => (photo.problem ? problemWords(photo.problem).title : stateWords(photo));
  const day = new Date().toISOString().slice(0, 10);
  download(toCsv(table.inOrder(), { verdictOf: verdictWords, reasonOf }), `wreckognize-${day}.csv`);
});
find("cancel").addEventListener("click", () => queue.cancel(queue.photos));
find("retry").addEventListener("click", () => queue.retry(queue.worthAnother(queue.photos)));
find("clear").addEventListener("click", () => {
  thumbnails.release(queue.photos);
  queue.clear();
  table.clear();
  show(null);
  overview();
  announce(word("said_cleared"));
  find("pick").focus();
});

// When the service cannot be used at all

function serviceStopped(problem) {
  stoppedBy = problem;
  if (problem.kind === "key") {
    const tried = accessKey.get();
    accessKey.set("");
    find("key").hidden = false;
    problem.unsaid = !tried; // the form says enough to one who has typed no key yet
    find("key-field").focus();
  }
  drawNotice();
}

function drawNotice() {
  const notice = find("notice");
  notice.hidden = !stoppedBy || stoppedBy.unsaid === true;
  if (notice.hidden) return;
  const words = problemWords(stoppedBy);
  notice.querySelector("h2").textContent = words.title;
  notice.querySelector(".reason").textContent = words.reason;
  notice.querySelector(".remedy").textContent = words.remedy;
  find("again").hidden = stoppedBy.kind === "key";
}

async function goOn() {
  stoppedBy = null;
  find("notice").hidden = true;
  if (!model) await learn();
  if (!stoppedBy) queue.resume();
}

find("again").addEventListener("click", goOn);
find("key").addEventListener("submit", (event) => {
  event.preventDefault();
  accessKey.set(find("key-field").value.trim());
  find("key-field").value = "";
  find("key").hidden = true;
  find("pick").focus();
  goOn();
});

// What the service says about itself

async function learn() {
  try {
    model = await askModel();
    queue.mostBytes = model.limits?.photo_bytes ?? Infinity;
    corrections = (await askFeedback()).open;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.concernsAll) serviceStopped(error);
    return;
  }
  drawModel();
  detail.change(queue.patience);
}

function drawModel() {
  if (!model) return;
  find("about").hidden = false;
  find("model-name").textContent = model.name;
  drawCard(find("card"), model);
}

function reported(photo) {
  table.change(photo, queue.patience);
  detail.change(queue.patience);
}

// The language

function speakOn(language, options) {
  speak(language, options);
  for (const one of document.querySelectorAll("[data-language]")) one.setAttribute("aria-pressed", one.dataset.language === language);
  for (const photo of queue.photos) table.change(photo, queue.patience);
  if (detail.photo) detail.show(detail.photo);
  overview();
  drawModel();
  drawNotice();
}

for (const one of document.querySelectorAll("[data-language]"))
  one.addEventListener("click", () => one.dataset.language !== currentLanguage() && speakOn(one.dataset.language, { keep: true }));

speakOn(firstLanguage());
learn();
