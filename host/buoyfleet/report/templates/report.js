"use strict";
// Long tables: a click on a heading sorts, a search box filters. Without scripts the tables are complete as they are.
for (const table of document.querySelectorAll("table.long")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const tools = document.createElement("div");
  tools.className = "tools";
  const search = document.createElement("input");
  search.type = "search";
  search.placeholder = "filter " + table.dataset.filter;
  search.setAttribute("aria-label", search.placeholder);
  const shown = document.createElement("span");
  shown.setAttribute("aria-live", "polite");
  tools.append(search);

  let onlyTrouble = null;
  const troubled = rows.filter((row) => row.classList.contains("trouble")).length;
  if (troubled && troubled < rows.length) {
    const label = document.createElement("label");
    onlyTrouble = document.createElement("input");
    onlyTrouble.type = "checkbox";
    onlyTrouble.checked = rows.length > 50;
    label.append(onlyTrouble, " only those in trouble (" + troubled + ")");
    tools.append(label);
  }
  tools.append(shown);
  table.parentElement.before(tools);

  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const filter = () => {
    // Every word must occur; cells join without a space, so words are looked up one by one.
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const fits = words.every((word) => texts.get(row).includes(word))
        && (!onlyTrouble || !onlyTrouble.checked || row.classList.contains("trouble"));
      row.hidden = !fits;
      count += fits ? 1 : 0;
    }
    shown.textContent = count < rows.length ? count + " of " + rows.length + " shown" : "";
  };
  search.addEventListener("input", filter);
  if (onlyTrouble) onlyTrouble.addEventListener("change", filter);

  const key = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.key ?? cell.textContent;
    return text === "" || text === "–" ? null : isFinite(text) ? Number(text) : text;
  };
  const compare = (a, b, direction) => {
    if (a === null || b === null) return (a === null) - (b === null); // what has no value comes last either way
    if (typeof a === "number" && typeof b === "number") return direction * (a - b);
    return direction * String(a).localeCompare(String(b), undefined, { numeric: true });
  };
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const sort = () => {
      const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
      rows.sort((a, b) => compare(key(a, column), key(b, column), direction));
      body.append(...rows);
    };
    heading.tabIndex = 0;
    heading.addEventListener("click", sort);
    heading.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        sort();
      }
    });
  });
  filter();
}
