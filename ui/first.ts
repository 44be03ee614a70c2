// Stands in the page itself, and runs before everything else: the colors, so that nothing flashes, and what to do where the
// rest of the page cannot be fetched. A browser drops what is under way whenever a network appears on its
// machine, and each container brings one.

import { applyTheme, storedTheme } from "./theme.js";

applyTheme(storedTheme());

const key = "bettertest-reloads";
const maxReloads = 5;
const pauseMs = 400;

addEventListener(
  "error",
  ({ target }) => {
    if (!(target instanceof HTMLScriptElement || target instanceof HTMLLinkElement)) return;
    const count = Number(sessionStorage.getItem(key) ?? 0);
    if (count >= maxReloads) {
      const words = document.createElement("p");
      words.textContent =
        "This page could not be fetched whole from the boss. Load it again to try once more.";
      document.body.replaceChildren(words);
      sessionStorage.removeItem(key);
      return;
    }
    sessionStorage.setItem(key, String(count + 1));
    setTimeout(() => location.reload(), pauseMs);
  },
  // On its way down: such an error does not bubble.
  true,
);
addEventListener("load", () => {
  // Whatever failed has said so by now.
  if (document.querySelector("#app > *")) sessionStorage.removeItem(key);
});
