// What an answer comes to, in words: one place for the big view, the table and the file.
import { number, word } from "./words.js";

const KEYS = { vehicle: "vehicle", "no vehicle": "no_vehicle", "to a person": "to_a_person" };

export function verdictKey(verdict) {
  return KEYS[verdict] || "to_a_person";
}

export function verdictWords(verdict) {
  return word(verdictKey(verdict));
}

/** The boxes sure enough to count as a vehicle; the others are shown, but did not decide. */
export function sureBoxes(answer) {
  const band = answer.to_a_person;
  const line = band ? band.high ?? Infinity : answer.threshold;
  return answer.photo.boxes.filter((box) => box.confidence >= line);
}

/** How many vehicles the table says; at least one where the verdict says so, whatever rounding did. */
export function vehicles(answer) {
  const count = sureBoxes(answer).length;
  return answer.photo.verdict === "vehicle" ? Math.max(1, count) : count;
}

/** The sentence under the verdict. */
export function meaning(answer) {
  const key = verdictKey(answer.photo.verdict);
  return word(`means_${key}`, { n: vehicles(answer) });
}

/** From which score on the answer changes, in words. */
export function rule({ threshold, to_a_person: band }) {
  if (!band) return word("score_vehicle", { threshold: number(threshold) });
  if (band.low === null) return word("score_band_low", { high: number(band.high) });
  if (band.high === null) return word("score_band_high", { low: number(band.low) });
  return word("score_band", { low: number(band.low), high: number(band.high) });
}

/** A problem's words: {title, reason, remedy}. */
export function problemWords(problem) {
  const { kind, status } = problem;
  return {
    title: word(kind === "key" ? "key_wrong_title" : `${kind}_title`),
    reason: word(kind, { status }),
    remedy: word(`${kind}_remedy`),
    said: kind === "other" && problem.reason ? `${problem.reason}. ${problem.remedy}` : "",
  };
}
