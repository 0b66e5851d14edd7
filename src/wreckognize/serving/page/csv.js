// The table as a file for a spreadsheet. Pure: photos in, text out.
import { word } from "./words.js";

const BOM = "\ufeff"; // without it Excel takes UTF-8 for something else
// A cell that begins so would be run as a formula (OWASP, CSV injection); a file's name may.
const FORMULA = /^[\s]*[=+\-@\uff0b\uff0d\uff1d\uff20]|^[\t\r\n]/;
const COLUMNS = [
  "name", "verdict", "score", "threshold", "low", "high", "vehicles", "width", "height", "reason", "model", "version", "time",
];

export function cell(value) {
  let text = value === null || value === undefined ? "" : String(value);
  if (typeof value !== "number" && FORMULA.test(text)) text = `'${text}`;
  return /[",\r\n;]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

/** All photos in the order given, in the language of the page. */
export function toCsv(photos, { verdictOf, reasonOf }) {
  const rows = [COLUMNS.map((column) => word(`csv_${column}`))];
  for (const photo of photos) {
    const { answer } = photo;
    const found = answer?.photo;
    rows.push([
      photo.name,
      found ? verdictOf(found.verdict) : "",
      found?.score,
      answer?.threshold,
      answer?.to_a_person?.low,
      answer?.to_a_person?.high,
      found?.boxes.length,
      found?.width,
      found?.height,
      found ? "" : reasonOf(photo),
      answer?.model.name,
      answer?.model.version,
      answer?.when,
    ]);
  }
  return BOM + rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** Hand a text to the browser as a file. */
export function download(text, name) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
