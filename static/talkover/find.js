// Narrows a long list of calendars down to those whose name holds what is typed. Those that are
// ticked stay in sight. Without it the list is scrolled through.
"use strict";

(() => {
  const find = document.getElementById("find");
  if (!find) return;
  const text = document.getElementById("find-text");
  const count = document.getElementById("find-count");
  const choices = [...document.querySelectorAll(".choices .choice")];
  const all = count.textContent;

  function plain(words) {
    return words.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().trim();
  }

  const names = choices.map((choice) => plain(choice.querySelector("bdi").textContent));

  function narrow() {
    const wanted = plain(text.value);
    let found = 0;
    choices.forEach((choice, place) => {
      const matches = names[place].includes(wanted);
      found += matches;
      choice.hidden = !matches && !choice.querySelector("input").checked;
    });
    count.textContent = wanted ? `${found} of ${all}` : all;
  }

  text.addEventListener("input", narrow);
  text.addEventListener("keydown", (event) => {
    // Enter would send the form with what happens to be ticked.
    if (event.key === "Enter") event.preventDefault();
  });
  find.hidden = false;
  narrow(); // a browser that comes back keeps what was typed
})();
