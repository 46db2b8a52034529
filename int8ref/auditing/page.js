"use strict";
function order(table, column, head) {
  const down = head.getAttribute("aria-sort") === "descending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "ascending" : "descending");
  const sign = down ? 1 : -1;
  const value = (row) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent : BigInt(cell.dataset.value);
  };
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row, place) => ({ row, place, value: value(row) }));
  rows.sort((a, b) => {
    const mixed = (typeof a.value === "string") - (typeof b.value === "string");
    if (mixed !== 0) return mixed;
    if (a.value === b.value) return a.place - b.place;
    if (typeof a.value === "string")
      return sign * a.value.localeCompare(b.value, "en", { numeric: true });
    return a.value < b.value ? -sign : sign;
  });
  body.append(...rows.map((entry) => entry.row));
}
for (const table of document.querySelectorAll("table")) {
  Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
    head.addEventListener("click", () => order(table, column, head));
    head.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        order(table, column, head);
      }
    });
  });
}
