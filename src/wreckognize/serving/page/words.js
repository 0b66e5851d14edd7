// What the page says, in the language that was chosen. Knows no photo and no service.
import en from "./words.en.js";
import ko from "./words.ko.js";

const BOOKS = { en, ko };
const KEPT = "wreckognize.language";
let language = "en";

/** The language to begin with: the one chosen before, else the browser's first that is at hand, else English. */
export function firstLanguage() {
  const wanted = [kept(), ...(navigator.languages || [navigator.language])];
  const known = wanted.map((tag) => (tag || "").toLowerCase().split("-")[0]);
  return known.find((tag) => tag in BOOKS) || "en";
}

function kept() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null; // storage is switched off: the choice lasts for this visit
  }
}

export function currentLanguage() {
  return language;
}

/** Speak this language from now on; `keep`: also at the next visit. */
export function speak(tag, { keep = false } = {}) {
  language = tag;
  if (keep) {
    try {
      localStorage.setItem(KEPT, tag);
    } catch {
      // as above
    }
  }
  document.documentElement.lang = tag;
  document.title = `${word("title")} · Wreckognize`;
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = word(element.dataset.word);
  for (const element of document.querySelectorAll("[data-label]"))
    element.setAttribute("aria-label", word(element.dataset.label));
}

/** A text by its key, with {places} filled in; one that has forms is chosen by the number `n`. */
export function word(key, values = {}) {
  const found = BOOKS[language][key];
  if (found === undefined) throw new Error(`no word for ${key}`);
  const text = typeof found === "string" ? found : found[new Intl.PluralRules(language).select(values.n)] || found.other;
  return text.replace(/\{(\w+)\}/g, (place, name) => (name in values ? String(values[name]) : place));
}

/** A score or threshold as people read it: two decimals, three where two would hide it. */
export function number(value) {
  const digits = value > 0 && value < 0.1 ? 3 : 2;
  return new Intl.NumberFormat(language, { minimumFractionDigits: 2, maximumFractionDigits: digits }).format(value);
}
