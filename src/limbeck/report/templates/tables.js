// Tables that sort and filter. A column is [title, value of a row, HTML of a row]; numbers sort as numbers.
function drawTable(id, columns, rows, {paged = false, order = [], rowClass} = {}) {
  const table = $(id);
  if (DataTable.isDataTable(table)) new DataTable(table).destroy();
  table.replaceChildren();
  new DataTable(table, {
    data: rows,
    columns: columns.map(([title, value, html, kind = "text"]) => ({
      title: escape(title),
      className: kind,
      type: kind === "number" ? "num" : "string-utf8",
      data: row => row,
      render: (row, how) => how === "display" ? (html ? html(row) : escape(value(row)))
        : how === "sort" || how === "type" ? value(row) ?? (kind === "number" ? -Infinity : "") : String(value(row) ?? ""),
    })),
    order, paging: paged, pageLength: 25, lengthMenu: [25, 100, 500], info: paged, autoWidth: false, deferRender: true,
    createdRow: (made, row) => { if (rowClass?.(row)) made.classList.add(rowClass(row)); },
    layout: {topStart: null, topEnd: "search", bottomStart: paged ? ["info", "pageLength"] : null, bottomEnd: paged ? "paging" : null},
    language: {search: "Filter ", zeroRecords: "Nothing fits the filter.", emptyTable: "There is nothing yet."},
  });
}

const SIGNS = {
  2: ["up", "▲", "above, whatever the seed"], 1: ["up", "△", "above, as for these models"],
  "-1": ["down", "▽", "below, as for these models"], "-2": ["down", "▼", "below, whatever the seed"],
};
const sign = mark => {
  if (!mark) return '<span class="mark"></span>';
  const [way, glyph, words] = SIGNS[mark];
  return `<span class="mark ${way}" title="${words}">${glyph}<span class="hidden"> ${words}</span></span>`;
};

function entryHtml(entry, withDeviation) {
  if (entry[0] == null) return `<span class="soft">${ABSENT}</span>`;
  const [mean, note, deviation, mark, best] = entry;
  const value = best ? `<strong>${number(mean)}</strong>` : number(mean);
  const std = withDeviation && deviation != null ? `<span class="std">±${number(deviation)}</span>` : "";
  return value + std + sign(mark) + (note ? `<span class="seeds">${escape(note)}</span>` : "");
}

function drawTables(data) {
  const systems = data.systems.map((system, place) => ({kind: system[0], name: system[1], backbone: system[2] || system[0], place}));
  const columns = [...data.suites, ...data.collections];
  const named = [["Recipe", row => row.name], ["Backbone", row => row.backbone]];
  const given = row => row.kind === "recipe" ? "" : "given";

  const main = measure => drawTable("main-table", [...named, ...columns.map(column => {
    const entry = row => data.values[measure][column][row.place];
    return [column, row => entry(row)[0], row => entryHtml(entry(row), data.seeds.length > 1), "number"];
  })], systems, {rowClass: given});
  choice($("main-choices"), "Measure", data.measures.map(name => [name, name]), data.measures[0], main);
  main(data.measures[0]);

  let column = columns[0], measure = data.measures[0];
  const single = () => {
    const entry = row => data.values[measure][column][row.place];
    const compared = (row, place) => entry(row)[6]?.[place];
    drawTable("column-table", [...named,
      ["Mean", row => entry(row)[0], row => entryHtml(entry(row), true), "number"],
      ...data.seeds.map((seed, place) => [`Seed ${seed}`, row => entry(row)[5]?.[place], row => number(entry(row)[5]?.[place]), "number"]),
      ["Difference", row => compared(row, 0), row => signed(compared(row, 0)), "number"],
      ["95 % interval", row => compared(row, 1), row => compared(row, 1) == null ? ABSENT
        : `${signed(compared(row, 1))} to ${signed(compared(row, 2))}`, "number"],
      ["Corrected p", row => compared(row, 3), row => pValue(compared(row, 3)), "number"],
      ["Detectable", row => compared(row, 4), row => compared(row, 4) > 1 ? "> 1" : number(compared(row, 4)), "number"],
      ["Wins / ties / losses", row => entry(row)[7]?.[0], row => entry(row)[7]?.[0] == null ? ABSENT : escape(entry(row)[7].join(" / ")), "number"],
    ], systems, {rowClass: given});
  };
  choice($("column-choices"), "On", columns.map(name => [name, name]), column, value => { column = value; single(); });
  choice($("column-choices"), "Measure", data.measures.map(name => [name, name]), measure, value => { measure = value; single(); });
  single();

  if (data.pairs.length) {
    const pairs = collection => drawTable("pairs-table", [
      ["Recipes", row => `${row[1]} ${MINUS} ${row[2]}`], ["Backbone", row => row[3]],
      ["Difference", row => row[4], row => signed(row[4]), "number"],
      ["95 % interval", row => row[5], row => row[5] == null ? ABSENT : `${signed(row[5])} to ${signed(row[6])}`, "number"],
      ["Corrected p", row => row[7], row => (row[8] ? `<strong>${pValue(row[7])}</strong>` : pValue(row[7])) + sign(row[8]), "number"],
      ...data.margin ? [[`p within ±${data.margin}`, row => row[10], row => row[10] != null && row[10] < 0.05 ? `<strong>${pValue(row[10])}</strong>` : pValue(row[10]), "number"]] : [],
      ["Audit", row => row[9], null, "wrap"],
    ], data.pairs.filter(row => row[0] === collection), {paged: true, order: [[4, "asc"]]});
    const tested = [...new Set(data.pairs.map(row => row[0]))];
    choice($("pairs-choices"), "On", tested.map(name => [name, name]), tested[0], pairs);
    pairs(tested[0]);
  }

  drawTable("cells-table", [
    ["Recipe", row => row[0]], ["Backbone", row => row[1]], ["Seed", row => row[2], null, "number"], ["State", row => row[3]],
    ["Best step", row => row[4], row => count(row[4]), "number"], ["Steps", row => row[5], row => count(row[5]), "number"],
    ["Pairs", row => row[6], row => count(row[6]), "number"], ["Tokens", row => row[7], row => count(row[7]), "number"],
    ["Seconds", row => row[8], row => count(row[8]), "number"], ["Weights", row => row[9], row => count(row[9]), "number"],
    ["Error", row => row[10] ?? "", null, "wrap"],
  ], data.cells, {paged: true});
}
