"use strict";
(() => {
  const form = document.querySelector("form.filters");
  if (!form) return;
  form.hidden = false;
  const records = [...document.querySelectorAll("details.record")];
  const shown = form.querySelector("output");
  const text = new Map(records.map((record) => [record, record.textContent.toLowerCase()]));
  const apply = () => {
    const chosen = ["benchmark", "subject", "mark", "disposition"].map((key) => [key, form.elements[key].value]);
    const words = form.elements.words.value.toLowerCase();
    let count = 0;
    for (const record of records) {
      const fits = chosen.every(([key, value]) => !value || record.dataset[key] === value) && text.get(record).includes(words);
      record.hidden = !fits;
      count += fits;
    }
    shown.textContent = `${count} of ${records.length} shown`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
})();
