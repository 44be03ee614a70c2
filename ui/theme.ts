// Dark or light: as the system has it, unless the reader chose; remembered by the browser.

export type Theme = "system" | "light" | "dark";

const key = "bettertest-theme";

export function storedTheme(): Theme {
  try {
    const stored = localStorage.getItem(key);
    return stored === "light" || stored === "dark" ? stored : "system";
  } catch {
    return "system";
  }
}

export function applyTheme(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export function storeTheme(theme: Theme): void {
  try {
    localStorage.setItem(key, theme);
  } catch {
    // A browser that keeps nothing: the choice holds until the page is left.
  }
  applyTheme(theme);
}
