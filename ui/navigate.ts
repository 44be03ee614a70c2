// The address bar, without loading a page anew.

import { hrefOf, parseRoute, type Route } from "./route.js";

let tell: (route: Route) => void = () => {};

export function navigate(target: Route | string, how: "push" | "replace" = "push"): void {
  const href = typeof target === "string" ? target : hrefOf(target);
  const isSame = href === location.pathname + location.search + location.hash;
  if (how === "replace" || isSame) history.replaceState(null, "", href);
  else history.pushState(null, "", href);
  tell(parseRoute(location));
}

/** Links of the page, the back button, and addresses from before there were paths. */
export function listenForNavigation(onRoute: (route: Route) => void): void {
  tell = onRoute;
  if (location.pathname === "/" && location.hash.startsWith("#/runs/"))
    history.replaceState(null, "", location.hash.slice(1));
  addEventListener("popstate", () => tell(parseRoute(location)));
  addEventListener("click", (event) => {
    const wantsElsewhere = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
    if (event.defaultPrevented || event.button !== 0 || wantsElsewhere) return;
    const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
    if (!(link instanceof HTMLAnchorElement) || link.target !== "" || link.download !== "") return;
    if (link.getAttribute("href")?.startsWith("#")) {
      // By hand, as the address says where the reader is, down to the line, and has no room for this.
      event.preventDefault();
      document.getElementById(link.hash.slice(1))?.focus();
      return;
    }
    const { origin, pathname, search, hash } = new URL(link.href);
    if (origin !== location.origin || parseRoute({ pathname, search, hash }).page === "missing")
      return;
    event.preventDefault();
    navigate(pathname + search + hash);
  });
}
