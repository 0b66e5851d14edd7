// The model card for people: what the detector is, how good it was, what it cannot do.
import { make } from "./dom.js";
import { rule } from "./verdicts.js";
import { currentLanguage, word } from "./words.js";

/** Draw what `/v1/model` said into `place`. */
export function drawCard(place, model) {
  const { card } = model;
  const own = (text) => text[currentLanguage()] || text.en;
  const percent = new Intl.NumberFormat(currentLanguage(), { style: "percent", maximumFractionDigits: 1 });
  place.replaceChildren(
    card.forced ? make("p", { class: "notice", text: own(card.parity) }) : "",
    make("p", { class: "lead", text: own(card.about) }),
    make("h3", { text: word("about_limits") }),
    make("ul", {}, ...card.limits.map((limit) => make("li", { text: own(limit) }))),
    make("h3", { text: word("about_figures") }),
    make("p", { text: own(card.figures_note) }),
    card.figures.length ? make("div", { class: "scroll" }, figures(card.figures, own, percent)) : "",
    make("h3", { text: word("about_decision") }),
    make("p", { text: rule(model) }),
    make("p", { class: "quiet", text: own(card.decision) }),
    make(
      "details",
      {},
      make("summary", { text: word("about_more") }),
      make("p", { text: word("about_version", { name: model.name, version: model.version }) }),
      make("p", { text: own(card.parity) }),
      make("p", { text: own(card.licence) }),
    ),
  );
}

function figures(rows, own, percent) {
  const between = ({ low, high }) =>
    low === null || high === null
      ? null
      : make("small", { text: word("about_between", { low: percent.format(low), high: percent.format(high) }) });
  const heads = ["about_figure", "about_share", "about_photos"];
  return make(
    "table",
    {},
    make("thead", {}, make("tr", {}, ...heads.map((key, index) => make("th", { scope: "col", class: index ? "amount" : "", text: word(key) })))),
    make(
      "tbody",
      {},
      ...rows.map((row) =>
        make(
          "tr",
          {},
          make("th", { scope: "row", text: own(row.title) }),
          make("td", { class: "amount" }, percent.format(row.share), between(row)),
          make("td", { class: "amount", text: new Intl.NumberFormat(currentLanguage()).format(row.photos) }),
        ),
      ),
    ),
  );
}
