"use strict";
(() => {
  const form = document.querySelector("form.labels");
  const sets = [...form.querySelectorAll("fieldset")];
  const told = form.querySelector("output");
  const value = (set, name) => new FormData(form).get(`${name}-${set.dataset.number}`) || "";
  const count = () => sets.filter((set) => value(set, "label")).length;
  const show = () => { told.textContent = `${count()} of ${sets.length} labelled`; };
  const cell = (text) => `"${String(text).replaceAll('"', '""')}"`;
  let saved = true;
  form.addEventListener("input", () => { saved = false; show(); });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const rows = sets.map((set) => [set.dataset.number, value(set, "label"), value(set, "note")].map(cell).join(","));
    const blob = new Blob([["number,label,note", ...rows, ""].join("\r\n")], { type: "text/csv" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${form.elements.who.value}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
    saved = true;
  });
  window.addEventListener("beforeunload", (event) => { if (!saved) event.preventDefault(); });
  show();
})();
