// Keeps the state on a connection's page fresh while a sync runs. Without it the page still works.
"use strict";

(() => {
  const panel = document.getElementById("progress");
  const announcement = document.getElementById("progress-announcement");
  const trouble = document.getElementById("progress-trouble");
  const longestPause = 15;
  let timer = 0;
  let failures = 0;
  let loading = false;
  let announced = panel.firstElementChild.dataset.announcement;

  function pollSeconds() {
    return Number(panel.firstElementChild?.dataset.pollSeconds || 0);
  }

  function tell(text) {
    trouble.textContent = text;
    trouble.hidden = !text;
  }

  function schedule() {
    window.clearTimeout(timer);
    const seconds = pollSeconds();
    if (seconds && !document.hidden) {
      timer = window.setTimeout(load, 1000 * Math.min(seconds * 2 ** failures, longestPause));
    }
  }

  function stop(text) {
    window.clearTimeout(timer);
    document.removeEventListener("visibilitychange", resume);
    tell(text);
  }

  async function load() {
    if (loading) return;
    loading = true;
    try {
      const response = await fetch(panel.dataset.url, { cache: "no-store", redirect: "manual" });
      if (response.type === "opaqueredirect") {
        return stop("You were signed out. Reload the page to sign in again.");
      }
      if (response.status === 404) {
        return stop("This connection is not there any more. Go back to the calendar.");
      }
      if (!response.ok) throw new Error(`status ${response.status}`);
      show(await response.text());
      failures = 0;
      tell("");
    } catch {
      failures += 1;
      if (failures > 1) tell("The progress cannot be loaded just now; trying again.");
    } finally {
      loading = false;
    }
    schedule();
  }

  function show(html) {
    const fragment = new DOMParser().parseFromString(html, "text/html").body.firstElementChild;
    if (!fragment?.dataset.pollSeconds) throw new Error("not the fragment");
    // The bar goes on moving where it is, instead of starting over every second.
    const [bar, newBar] = [panel, fragment].map((element) => element.querySelector("progress"));
    if (bar && newBar) newBar.replaceWith(bar);
    panel.replaceChildren(fragment);
    if (fragment.dataset.announcement !== announced) {
      announced = fragment.dataset.announcement;
      announcement.textContent = announced;
    }
  }

  function resume() {
    if (!document.hidden && pollSeconds()) load();
    else window.clearTimeout(timer);
  }

  document.addEventListener("visibilitychange", resume);
  schedule();
})();
